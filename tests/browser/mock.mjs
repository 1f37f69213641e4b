// A server with made-up data that speaks docs/http-api.md, for work on the page and for its tests.
//
//   node mock.mjs [--port 8090] [--prefix /probe] [--scenario living] [--hash]
//
// A scenario begins with a request for the page with `?scenario=NAME` (mock/world.mjs has the names), or by POST /mock/scenario?name=NAME.
// `--hash` serves the page's files below `s/HASH/`, as the program does.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { WebSocketServer } from 'ws';
import { World } from './mock/world.mjs';
import { Flows, FIELDS } from './mock/flows.mjs';

const PAGE = join(dirname(fileURLToPath(import.meta.url)), '../../src/dashboard/page');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const CONFIG = '[capture]\ninterface = ["eth1"]\nbackend = "tpacket"\nsnaplen = 65535\nbuffer_size_mb = 256\n\n[flow]\ntimeout_secs = 60.0\nmax_flows = 1000000\n\n[analysis.anomalies]\nenabled = true\n\n[web]\nenabled = true\nbind = "127.0.0.1"\nport = 8080\n';

class HttpError extends Error {
  constructor(status, code, message, more = {}) { super(message); Object.assign(this, { status, code, more }); }
}

function history(world, params) {
  const now = world.time();
  const step = Number(params.get('step') ?? 1);
  const to = Math.floor(Number(params.get('to') ?? now) / step) * step;
  const from = Math.floor(Number(params.get('from') ?? to - 3600) / step) * step;
  const series = {};
  for (const name of params.getAll('metric')) {
    if (world.metric(name, from, step) === undefined) throw new HttpError(400, 'bad_request', `there is no metric ${name}`);
    series[name] = { unit: name.startsWith('bytes') ? 'bytes' : name, values: [] };
    for (let t = from; t < to && series[name].values.length < 100000; t += step) series[name].values.push(t > now ? null : world.metric(name, t, step));
  }
  return { from, to, step, series, start: world.started };
}

function alertList(world, params) {
  const now = world.time();
  const [from, to] = [Number(params.get('from') ?? 0), Number(params.get('to') ?? now + 1)];
  const fits = (a, name, field) => !params.get(name) || params.get(name).split(',').includes(a[field]);
  const all = world.alerts(now).filter((a) => a.ts >= from && a.began <= to && fits(a, 'state', 'state') && fits(a, 'kind', 'kind') && fits(a, 'severity', 'severity'));
  const hours = new Map();
  for (let hour = Math.floor(now / 3600) * 3600 - 23 * 3600; hour <= now; hour += 3600) hours.set(hour, { hour, low: 0, medium: 0, high: 0 });
  for (const a of all) { const hour = hours.get(Math.floor(a.began / 3600) * 3600); if (hour) hour[a.severity] += 1; }
  const offset = Number(params.get('offset') ?? 0);
  return { alerts: all.slice(offset, offset + Number(params.get('limit') ?? 100)), total: all.length, kept_max: 1000, left_out: 0, per_hour: [...hours.values()] };
}

const body = async (request) => {
  let text = '';
  for await (const part of request) { text += part; if (text.length > 65536) throw new HttpError(413, 'too_large', 'the body is too large'); }
  return text ? JSON.parse(text) : {};
};

function mute(world, said) {
  if (!said.reason) throw new HttpError(400, 'bad_request', 'a reason is needed');
  const rule = { id: `m${world.mutes.length + 1}`, kind: said.kind ?? null, network: said.network ?? null, port: said.port ?? null, reason: said.reason, until: said.seconds ? Date.now() / 1000 + said.seconds : null, alerts: 0, from_config: false };
  world.mutes.push(rule);
  return rule;
}

async function api({ world, flows }, request, path, params) {
  const now = world.time();
  const id = decodeURIComponent(path.split('/')[1] ?? '');
  const [first, , third] = path.split('/');
  if (request.method === 'POST' && first === 'alerts' && third === 'acknowledge') world.acknowledged.set(id, { ts: now, by: null, note: (await body(request)).note ?? '' });
  if (request.method === 'DELETE' && first === 'alerts' && third === 'acknowledge') world.acknowledged.delete(id);
  if (first === 'alerts' && third === 'acknowledge') return world.alerts(now).find((a) => a.id === id) ?? Promise.reject(new HttpError(404, 'not_found', 'no such alert'));
  if (request.method === 'POST' && path === 'mutes') return mute(world, await body(request));
  if (request.method === 'DELETE' && first === 'mutes') { world.mutes = world.mutes.filter((m) => m.id !== path.split('/')[1]); return {}; }
  switch (path) {
    case 'status': return { ...world.hello(), uptime_secs: now - world.started, state: 'live', tick: world.last, ledger: world.ledger(), queues: world.last?.queues ?? [], memory_bytes: 412e6, limits: { flows_max: 1000000, sockets_max: 64, alerts_kept_max: 1000, packet_buffer: 2000 } };
    case 'flows': return flows.query(params, now);
    case 'graph': return flows.graph(params, now);
    case 'top': return flows.tops(params, now);
    case 'history': return history(world, params);
    case 'alerts': return alertList(world, params);
    case 'mutes': return { mutes: world.mutes };
    case 'packets': return { packets: flows.packetsThatFit(flows.ring, params.get('filter')).slice(-Number(params.get('limit') ?? 200)).reverse(), sampled: { seen: world.received, kept: flows.packet_id - 100000, buffer: 2000 } };
    case 'fields': return { fields: FIELDS };
    case 'complete': return complete(params);
    case 'config': return { toml: CONFIG, json: { capture: { interface: ['eth1'], backend: 'tpacket' } } };
    case 'doctor': return { findings: [{ severity: 'warning', title: 'the card merges packets (GRO)', detail: 'Packets on the ring are larger than on the wire, so sizes are not those of the link.', cure: 'ethtool -K eth1 gro off' }, { severity: 'ok', title: 'the ring of the card is at its largest', detail: 'RX 4096 of 4096', cure: null }, { severity: 'error', title: 'queues share a CPU', detail: 'Queues 1 and 3 interrupt CPU 2.', cure: 'set /proc/irq/45/smp_affinity_list' }] };
    default:
  }
  if (first === 'flows') return flows.detail(decodeURIComponent(path.split('/')[1]), now) ?? Promise.reject(new HttpError(404, 'not_found', 'the flow is not known any more'));
  if (first === 'packets') { const detail = flows.packetDetail(Number(path.split('/')[1])); if (detail.gone) throw new HttpError(410, 'gone', 'the buffer no longer has it'); return detail; }
  throw new HttpError(404, 'not_found', 'there is no such path');
}

function complete(params) {
  const text = params.get('filter') ?? '';
  const at = Number(params.get('at') ?? text.length);
  const from = text.lastIndexOf(' ', at - 1) + 1;
  const word = text.slice(from, at).replace(/^!/, '');
  const words = FIELDS.filter((f) => f.filter_word).map((f) => ({ text: `${f.filter_word}:`, label: `${f.filter_word}:`, detail: f.description }));
  const values = word.startsWith('service:') ? ['https', 'quic', 'ssh', 'domain'].map((v) => ({ text: `service:${v}`, label: v, detail: 'seen now' })) : [];
  const unique = [...new Map([...words, ...values].map((s) => [s.text, s])).values()];
  return { from, to: at, suggestions: unique.filter((s) => s.text.startsWith(word)).slice(0, 12) };
}

// Starts the server. Returns its address, its world, and how to close it.
export async function startMock({ port = 8090, prefix = '', scenario = 'living', hashed = false } = {}) {
  const state = { world: new World(scenario), flows: new Flows() };
  const { world, flows } = state;
  world.last = world.tick(flows);
  const hash = createHash('sha256').update(String(Date.now())).digest('hex').slice(0, 16);
  const files = async (path, response, query) => {
    if (query?.get('scenario')) world.set(query.get('scenario'));
    const name = normalize(path.replace(/^s\/[0-9a-f]+\//, '') || 'index.html');
    if (name.startsWith('..')) throw new HttpError(404, 'not_found', 'there is no such file');
    let text = await readFile(join(PAGE, name)).catch(() => { throw new HttpError(404, 'not_found', `there is no file ${name}`); });
    if (hashed && name === 'index.html') text = text.toString().replace(/(href|src)="((?:css|js|vendor|icon)[^"]*)"/g, `$1="s/${hash}/$2"`);
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'text/plain; charset=utf-8', 'content-security-policy': CSP, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    response.end(text);
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    try {
      if (!url.pathname.startsWith(`${prefix}/`)) throw new HttpError(404, 'not_found', 'not below the prefix');
      const path = url.pathname.slice(prefix.length + 1);
      if (path === 'mock/scenario') { world.set(url.searchParams.get('name')); if (world.scenario === 'restart') for (const client of sockets.clients) client.terminate(); response.end('ok\n'); return; }
      if (path === 'api/health') { response.end('ok'); return; }
      if (path === 'api/v1/capture') { response.writeHead(200, { 'content-type': 'application/x-pcapng', 'content-disposition': 'attachment; filename="alert.pcapng"' }); response.end(Buffer.from('0a0d0d0a', 'hex')); return; }
      if (path.startsWith('api/v1/')) {
        const answer = await api(state, request, path.slice(7), url.searchParams);
        response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(JSON.stringify(answer));
        return;
      }
      await files(path, response, url.searchParams);
    } catch (error) {
      const status = error.status ?? (error.code === 'bad_filter' ? 400 : 500);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { code: error.code ?? 'unavailable', message: error.message, column: error.column, expected: error.expected } }));
    }
  });
  const sockets = new WebSocketServer({ server, path: `${prefix}/ws` });
  sockets.on('connection', (socket) => {
    const client = { packets: false, hidden: false };
    socket.client = client;
    socket.send(JSON.stringify(world.hello()));
    socket.on('message', (data) => {
      const message = JSON.parse(data);
      if (message.type === 'perf_ping') socket.send(JSON.stringify({ type: 'perf_pong', client_ts: message.client_ts, server_ts: Date.now() }));
      if (message.type === 'hidden') client.hidden = message.hidden;
      if (message.type === 'subscribe') Object.assign(client, { packets: message.packets, filter: message.filter });
      if (message.type === 'get_packet_detail') socket.send(JSON.stringify(flows.packetDetail(message.id)));
    });
  });
  let told = new Map();
  const timer = setInterval(() => {
    if (world.scenario === 'stale') return;
    if (world.scenario === 'file' && world.seq > 3) return;
    world.last = world.tick(flows);
    const packets = flows.packets(world.time());
    const alerts = world.alerts().filter((a) => told.get(a.id) !== `${a.state} ${a.counts[Object.keys(a.counts)[0]]}`);
    const known = new Map(world.alerts().map((a) => [a.id, `${a.state} ${a.counts[Object.keys(a.counts)[0]]}`]));
    for (const socket of sockets.clients) {
      if (socket.client.hidden || socket.readyState !== 1) continue;
      socket.send(JSON.stringify({ type: 'frame', frame_seq: world.seq, tick: world.last, packets: socket.client.packets ? flows.packetsThatFit(packets, socket.client.filter) : [], alerts }));
    }
    told = known;
  }, 1000);
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () => { clearInterval(timer); for (const client of sockets.clients) client.terminate(); return new Promise((resolve) => server.close(resolve)); };
  // Sends `count` frames as fast as the clients take them, each a second later than the one before, with an alert of its own.
  let later = 0;
  const burst = async (count) => {
    for (let i = 0; i < count; i++) {
      later += 1;
      const tick = { ...world.last, ts: world.last.ts + later, server_ts: world.last.ts + later };
      const alert = { ...world.alerts()[0], id: `soak:${later}`, began: tick.ts, ts: tick.ts, state: 'ended', phase: 'end' };
      const text = JSON.stringify({ type: 'frame', frame_seq: later, tick, packets: [], alerts: [alert] });
      for (const socket of sockets.clients) await new Promise((resolve) => { socket.send(text, resolve); });
      if (i % 50 === 0) await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  };
  return { burst, url: `http://127.0.0.1:${server.address().port}${prefix}/`, world, flows, close };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const value = (name, fallback) => { const at = process.argv.indexOf(`--${name}`); return at < 0 ? fallback : process.argv[at + 1]; };
  const mock = await startMock({ port: Number(value('port', 8090)), prefix: value('prefix', ''), scenario: value('scenario', 'living'), hashed: process.argv.includes('--hash') });
  console.log(mock.url);
}
