// Made-up flows and packets: a fixed set whose rates move, a small part of the filter language, the sankey and the tops.

import { hash01, wave } from './noise.mjs';

const SERVICES = [['https', 'tcp', 443], ['quic', 'udp', 443], ['postgresql', 'tcp', 5432], ['ssh', 'tcp', 22], ['http', 'tcp', 80], ['domain', 'udp', 53], ['kafka', 'tcp', 9092], ['rsync', 'tcp', 873]];
const CLIENTS = ['10.2.0.9', '10.2.4.17', '10.2.8.30', '10.2.8.31', '10.2.1.5', '10.2.7.44', '10.2.7.48', '2001:db8::8:30', '192.0.2.66', '198.51.100.23'];
const SERVERS = ['203.0.113.80', '10.2.4.3', '198.51.100.7', '10.2.9.4', '203.0.113.12', '2001:db8:f::1', '198.51.100.9', '198.51.100.40', '203.0.113.81'];
const NAMES = ['backup.example', 'orders.example', 'cdn.example', 'mail.example', 'build.example', 'files.example', null, null];
const STATES = ['established', 'established', 'established', 'syn_sent', 'fin_wait', 'closed', 'reset'];
const COUNT = 640;

const pick = (list, i, seed) => list[Math.floor(hash01(i, seed) * list.length)];

export class Flows {
  constructor() {
    this.began = Date.now() / 1000;
    this.list = Array.from({ length: COUNT }, (_, i) => this.make(i));
    this.packet_id = 100000;
    this.ring = [];
  }

  make(i) {
    const [service, protocol, port] = pick(SERVICES, i, 1);
    const age = 20 + 30000 * hash01(i, 5) ** 3;
    const total = 3e9 * hash01(i, 6) ** 6 + 900;
    const is_tcp = protocol === 'tcp';
    return {
      id: `f${i.toString(16).padStart(8, '0')}`, state: hash01(i, 9) > 0.12 ? 'live' : 'ended', base_bps: 4e8 * hash01(i, 2) ** 7 + 200, to_client: 0.3 + 0.69 * hash01(i, 3), service, protocol,
      client_ip: pick(CLIENTS, i, 11), client_port: 32768 + Math.floor(hash01(i, 12) * 28000), server_ip: pick(SERVERS, i, 13), server_port: port,
      first_seen: this.began - age, duration_secs: age, bytes_total: Math.round(total), packets_total: Math.round(total / 700) + 1,
      retransmissions: is_tcp ? Math.floor(40 * hash01(i, 14) ** 8) : 0, out_of_order: is_tcp ? Math.floor(20 * hash01(i, 15) ** 9) : 0,
      rtt_ewma_ms: is_tcp ? 0.2 + 60 * hash01(i, 16) ** 4 : null, handshake_rtt_ms: is_tcp ? 0.2 + 70 * hash01(i, 17) ** 4 : null,
      tcp_state: is_tcp ? pick(STATES, i, 18) : null, vlan: hash01(i, 19) > 0.8 ? 10 : null, community_id: `1:${Buffer.from(`flow-${i}-community-id`).toString('base64').slice(0, 27)}=`, server_name: pick(NAMES, i, 20),
    };
  }

  // The flow as the server tells it, at the time `t`.
  record(flow, t) {
    const i = parseInt(flow.id.slice(1), 16);
    const rate = flow.state === 'live' ? flow.base_bps * Math.max(0.05, 1 + wave(t, i + 300)) : 0;
    const grown = flow.state === 'live' ? flow.base_bps / 8 * (t - this.began) : 0;
    const { base_bps, to_client, ...rest } = flow;
    return {
      id: rest.id, state: rest.state, rate_bps: rate, service: rest.service, rate_to_server_bps: rate * (1 - to_client), rate_to_client_bps: rate * to_client, ...rest, bytes_total: Math.round(rest.bytes_total + grown),
      packets_total: Math.round(rest.packets_total + grown / 700), duration_secs: t - rest.first_seen, last_seen: t,
    };
  }

  match(filter) {
    const words = (filter || '').trim().split(/\s+/).filter(Boolean);
    const tests = words.map((word, index) => {
      const is_not = word.startsWith('!');
      const text = is_not ? word.slice(1) : word;
      const at = text.indexOf(':');
      const test = at < 0 ? (f) => JSON.stringify(f).includes(text) : this.test(text.slice(0, at), text.slice(at + 1), words.slice(0, index).join(' ').length + (index ? 2 : 1));
      return is_not ? (f) => !test(f) : test;
    });
    return (flow) => tests.every((test) => test(flow));
  }

  test(key, value, column) {
    const ends = (f, what) => [f.client_ip, f.server_ip].some(what);
    const inside = (ip) => (value.includes('/') ? ip.startsWith(value.split('/')[0].replace(/(\.0|::)+$/, '')) : ip === value);
    switch (key) {
      case 'host': return (f) => ends(f, inside);
      case 'client': return (f) => inside(f.client_ip);
      case 'server': return (f) => inside(f.server_ip);
      case 'port': return (f) => f.client_port === Number(value) || f.server_port === Number(value);
      case 'service': case 'app': return (f) => f.service === value;
      case 'proto': case 'protocol': return (f) => f.protocol === value;
      case 'state': return (f) => f.tcp_state === value || f.state === value;
      case 'name': return (f) => (f.server_name ?? '').includes(value);
      case 'id': return (f) => f.community_id === value || f.id === value;
      default: throw Object.assign(new Error(`there is no word ${key}`), { code: 'bad_filter', column, expected: ['host', 'client', 'server', 'port', 'service', 'protocol', 'state', 'name', 'id'] });
    }
  }

  query(params, t) {
    const fits = this.match(params.get('filter'));
    const scope = params.get('scope') ?? 'all';
    const found = this.list.filter((f) => (scope === 'all' || f.state === scope) && fits(f)).map((f) => this.record(f, t));
    const sort = params.get('sort') ?? 'rate';
    const field = sort === 'rate' ? 'rate_bps' : sort;
    const sign = params.get('order') === 'asc' ? 1 : -1;
    found.sort((a, b) => sign * (a[field] === b[field] ? 0 : (a[field] ?? -Infinity) > (b[field] ?? -Infinity) ? 1 : -1));
    const offset = Number(params.get('offset') ?? 0);
    const limit = Math.min(10000, Number(params.get('limit') ?? 100));
    const sum = (name) => found.reduce((total, f) => total + f[name], 0);
    return {
      time: t, whole: true, why: null, took_ms: 12.5, scope, matched: { flows: found.length, packets: sum('packets_total'), bytes: sum('bytes_total'), bps: sum('rate_bps') }, looked_at: 184203,
      offset, limit, sort, order: sign < 0 ? 'desc' : 'asc', flows: found.slice(offset, offset + limit),
    };
  }

  detail(id, t) {
    const flow = this.list.find((f) => f.id === id);
    if (!flow) return null;
    const i = parseInt(id.slice(1), 16);
    const rates = Array.from({ length: 120 }, (_, n) => {
      const at = Math.floor(t) - 120 + n;
      const rate = flow.base_bps * Math.max(0.05, 1 + wave(at, i + 300));
      return [at, rate * (1 - flow.to_client), rate * flow.to_client];
    });
    return { time: t, state: flow.state, flow: this.record(flow, t), alerts: [], rates };
  }

  top(count) {
    const t = Date.now() / 1000;
    return this.list.map((f) => this.record(f, t)).sort((a, b) => b.rate_bps - a.rate_bps).slice(0, count).map((f) => ({
      id: f.id, protocol: f.protocol.toUpperCase(), src_ip: f.client_ip, src_port: f.client_port, dst_ip: f.server_ip, dst_port: f.server_port, bytes_src_to_dst: Math.round(f.bytes_total / 3),
      bytes_dst_to_src: Math.round(f.bytes_total * 2 / 3), bytes_total: f.bytes_total, packets_src_to_dst: Math.round(f.packets_total / 3), packets_dst_to_src: Math.round(f.packets_total * 2 / 3), packets_total: f.packets_total,
      delta_bytes: Math.round(f.rate_bps / 8), delta_mbps: f.rate_bps / 1e6, duration_secs: f.duration_secs, tcp_state: f.tcp_state, rtt_ewma_ms: f.rtt_ewma_ms, retransmissions: f.retransmissions, out_of_order: f.out_of_order,
    }));
  }

  graph(params, t) {
    const columns = (params.get('by') ?? 'client,service,server').split(',');
    const limit = Number(params.get('limit') ?? 12);
    const found = this.list.filter(this.match(params.get('filter'))).map((f) => this.record(f, t));
    const label = (f, by) => ({ client: f.client_ip, server: f.server_ip, service: f.service, host: f.client_ip, protocol: f.protocol })[by] ?? String(f[by]);
    const nodes = [];
    const index = new Map();
    columns.forEach((by, column) => {
      const values = new Map();
      for (const f of found) values.set(label(f, by), (values.get(label(f, by)) ?? 0) + f.bytes_total);
      const best = [...values].sort((a, b) => b[1] - a[1]);
      best.slice(0, limit).forEach(([text, value]) => { index.set(`${column} ${text}`, nodes.length); nodes.push({ id: `${by}:${text}`, label: text, column, value, filter: `${by}:${text}` }); });
      const rest = best.slice(limit).reduce((sum, [, value]) => sum + value, 0);
      if (rest > 0) { index.set(`${column} *`, nodes.length); nodes.push({ id: `${by}:*`, label: 'others', column, value: rest, filter: null }); }
    });
    const links = new Map();
    for (const f of found) {
      for (let c = 0; c + 1 < columns.length; c++) {
        const [a, b] = [index.get(`${c} ${label(f, columns[c])}`) ?? index.get(`${c} *`), index.get(`${c + 1} ${label(f, columns[c + 1])}`) ?? index.get(`${c + 1} *`)];
        const link = links.get(`${a} ${b}`) ?? { source: a, target: b, value: 0, flows: 0, filter: [nodes[a].filter, nodes[b].filter].filter(Boolean).join(' ') };
        link.value += f.bytes_total; link.flows += 1;
        links.set(`${a} ${b}`, link);
      }
    }
    return { time: t, whole: true, nodes, links: [...links.values()], other: { flows: 0, value: 0 } };
  }

  tops(params, t) {
    const by = params.get('by') ?? 'host';
    const keys = { host: (f) => [f.client_ip, f.server_ip], client: (f) => [f.client_ip], server: (f) => [f.server_ip], service: (f) => [f.service], pair: (f) => [`${f.client_ip} ${f.server_ip}`], protocol: (f) => [f.protocol], vlan: (f) => [String(f.vlan ?? 'none')] };
    const rows = new Map();
    for (const f of this.list.filter(this.match(params.get('filter'))).map((f) => this.record(f, t))) {
      for (const label of keys[by](f)) {
        const row = rows.get(label) ?? { label, value: 0, flows: 0, bytes: 0, packets: 0, filter: by === 'pair' ? null : `${by}:${label}` };
        row.flows += 1; row.bytes += f.bytes_total; row.packets += f.packets_total; row.value = row.bytes;
        rows.set(label, row);
      }
    }
    const sorted = [...rows.values()].sort((a, b) => b.value - a.value);
    return { time: t, whole: true, by, metric: params.get('metric') ?? 'bytes', rows: sorted.slice(0, Number(params.get('limit') ?? 20)), total: sorted.reduce((sum, row) => sum + row.value, 0) };
  }

  /** The packets of flows that fit a filter. */
  packetsThatFit(packets, filter) {
    if (!filter) return packets;
    const ids = new Set(this.list.filter(this.match(filter)).map((flow) => flow.id));
    return packets.filter((packet) => ids.has(packet.flow));
  }

  // Packets of the last tick; kept in a ring of 2000.
  packets(t, count = 24) {
    const made = Array.from({ length: count }, (_, n) => {
      const flow = this.list[Math.floor(hash01(Math.floor(t * 7) + n, 77) * COUNT)];
      const len = 60 + Math.floor(1454 * hash01(n + Math.floor(t), 78));
      const is_tcp = flow.protocol === 'tcp';
      return { id: (this.packet_id += 1), ts: t - 1 + n / count, len, protocol: flow.protocol.toUpperCase(), src: `${flow.client_ip}:${flow.client_port}`, dst: `${flow.server_ip}:${flow.server_port}`, info: is_tcp ? `ACK seq ${1200 * n + 1} ack ${900 * n + 1} win 501 len ${Math.max(0, len - 54)}` : `${flow.service}, ${Math.max(0, len - 42)} bytes`, flow: flow.id };
    });
    this.ring.push(...made);
    this.ring.splice(0, Math.max(0, this.ring.length - 2000));
    return made;
  }

  packetDetail(id) {
    const packet = this.ring.find((p) => p.id === id);
    if (!packet) return { type: 'packet_detail', id, gone: true, layers: [], hex_dump: '' };
    const bytes = Array.from({ length: Math.min(256, packet.len) }, (_, i) => Math.floor(hash01(i, id % 9973) * 256));
    const hex = bytes.map((b) => b.toString(16).padStart(2, '0'));
    const lines = [];
    for (let i = 0; i < hex.length; i += 16) lines.push(`${i.toString(16).padStart(4, '0')}  ${hex.slice(i, i + 16).join(' ')}`);
    const is_tcp = packet.protocol === 'TCP';
    return {
      type: 'packet_detail', id, ts: packet.ts, len: packet.len, captured: bytes.length, gone: false, hex_dump: lines.join('\n'), bytes: hex.join(''),
      layers: [
        { name: 'Ethernet', offset: 0, len: 14, fields: [['destination', '02:00:00:00:00:02', 0, 6], ['source', '02:00:00:00:00:01', 6, 6], ['type', 'IPv4 (0x0800)', 12, 2]] },
        { name: 'IPv4', offset: 14, len: 20, fields: [['version', '4', 14, 1], ['total length', String(packet.len - 14), 16, 2], ['time to live', '64', 22, 1], ['protocol', packet.protocol, 23, 1], ['source', packet.src.split(':')[0], 26, 4], ['destination', packet.dst.split(':')[0], 30, 4]] },
        { name: packet.protocol, offset: 34, len: is_tcp ? 20 : 8, fields: [['source port', packet.src.split(':').pop(), 34, 2], ['destination port', packet.dst.split(':').pop(), 36, 2], ...(is_tcp ? [['flags', 'ACK', 47, 1], ['window', '501', 48, 2]] : [['length', String(packet.len - 34), 38, 2]]), ['stream', packet.flow, null, null]] },
      ],
    };
  }
}

const field = (name, label, group, type, unit, description, filter_word = null) => ({ name, label, group, type, unit, description, sortable: true, filter_word });

export const FIELDS = [
  field('rate_bps', 'Rate', 'traffic', 'number', 'bit/s', 'Bits per second, mean of the last seconds', 'rate'), field('rate_to_server_bps', 'To server', 'traffic', 'number', 'bit/s', 'Bits per second to the server'),
  field('rate_to_client_bps', 'To client', 'traffic', 'number', 'bit/s', 'Bits per second to the client'), field('bytes_total', 'Bytes', 'traffic', 'number', 'bytes', 'Bytes on the wire', 'bytes'), field('packets_total', 'Packets', 'traffic', 'number', null, 'Packets', 'packets'),
  field('client_ip', 'Client', 'ends', 'address', null, 'Who began', 'client'), field('client_port', 'Client port', 'ends', 'number', null, 'Its port', 'port'), field('server_ip', 'Server', 'ends', 'address', null, 'Who answered', 'server'), field('server_port', 'Server port', 'ends', 'number', null, 'Its port', 'port'),
  field('service', 'Service', 'application', 'text', null, 'By port', 'service'), field('server_name', 'Name', 'application', 'text', null, 'Name that was asked for', 'name'), field('protocol', 'Protocol', 'ends', 'text', null, 'Transport', 'protocol'), field('state', 'State', 'life', 'text', null, 'live or ended', 'state'),
  field('tcp_state', 'TCP state', 'life', 'text', null, 'State of the connection', 'state'), field('first_seen', 'First seen', 'life', 'time', 's', 'First packet'), field('last_seen', 'Last seen', 'life', 'time', 's', 'Latest packet'), field('duration_secs', 'Age', 'life', 'duration', 's', 'Since the first packet', 'duration'),
  field('rtt_ewma_ms', 'RTT', 'quality', 'number', 'ms', 'Round trip, moving average', 'rtt'), field('handshake_rtt_ms', 'Handshake', 'quality', 'number', 'ms', 'Round trip of the handshake'), field('retransmissions', 'Retransmitted', 'quality', 'number', 'segments', 'Segments sent again', 'retransmissions'),
  field('out_of_order', 'Out of order', 'quality', 'number', 'segments', 'Segments that came late'), field('vlan', 'VLAN', 'ends', 'number', null, 'Its number', 'vlan'), field('community_id', 'Community ID', 'ends', 'text', null, 'The same in other tools', 'id'),
];
