// A made-up link of 10 Gbit/s with four queues: ticks, history, alerts. Scenarios change what happens from now on.

import { hash01, wave } from './noise.mjs';
import { alertsAt } from './alerts.mjs';
import { randomBytes } from 'node:crypto';

export const SCENARIOS = ['living', 'calm', 'loss', 'stale', 'restart', 'no-direction', 'file', 'sparse', 'hostile'];
const LINK_BPS = 10e9;
const DAY = 86400;

const TALKERS = [
  ['10.2.0.9', 0.25, 0.1], ['203.0.113.80', 0.163, 0.8], ['10.2.4.17', 0.118, 0.2], ['198.51.100.7', 0.082, 0.9], ['10.2.8.30', 0.06, 0.3],
  ['2001:db8::8:30', 0.042, 0.4], ['10.2.1.5', 0.03, 0.5], ['203.0.113.12', 0.023, 0.7], ['10.2.7.44', 0.016, 0.2], ['10.2.7.48', 0.011, 0.6],
];
const SERVICES = [
  ['https', 'tcp', 443, 0.44], ['quic', 'udp', 443, 0.21], ['rsync', 'tcp', 873, 0.13], ['http', 'tcp', 80, 0.09], ['postgresql', 'tcp', 5432, 0.06],
  ['domain', 'udp', 53, 0.02], ['ssh', 'tcp', 22, 0.02], ['kafka', 'tcp', 9092, 0.01],
];

export class World {
  constructor(scenario = 'living') {
    this.acknowledged = new Map();
    this.mutes = [];
    this.lossFrom = null;
    this.start();
    this.set(scenario);
  }

  // The state of a program that was just started.
  start() {
    this.boot_id = randomBytes(16).toString('hex');
    this.started = this.started ? Date.now() / 1000 : Date.now() / 1000 - 2003000.4;
    this.origin = Math.floor(Date.now() / 1000) - DAY;
    this.received = 14203551002;
    this.lost = { ring: 0, kernel: 0, card: 0 };
    this.opened = 91823441;
    this.seq = 0;
    this.last_loss = null;
    if (this.restarted) { this.received = 0; this.opened = 0; this.origin = Math.floor(this.origin); }
    this.restarted = true;
  }

  // Packet time: that of a file lies in the past.
  time() { return Date.now() / 1000 - (this.scenario === 'file' ? 90 * DAY : 0); }

  set(scenario) {
    if (!SCENARIOS.includes(scenario)) throw new Error(`no scenario ${scenario}; there are ${SCENARIOS.join(', ')}`);
    if (scenario === 'restart') this.start();
    if (scenario === 'loss' && this.scenario !== 'loss') this.lossFrom = Date.now() / 1000 - 40;
    if (scenario !== 'loss') { this.lossFrom = null; this.lost = { ring: 0, kernel: 0, card: 0 }; this.last_loss = null; }
    this.scenario = scenario;
    if (scenario === 'file') this.origin -= 90 * DAY;
  }

  inBps(t) { return LINK_BPS * Math.max(0.03, Math.min(0.97, 0.5 + 0.42 * wave(t, 3) + this.surge(t))); }
  outBps(t) { return LINK_BPS * Math.max(0.02, 0.24 + 0.24 * wave(t, 40)); }
  surge(t) { return this.openAt(t, 'syn_flood') ? 0.14 : 0; }
  pps(t) { return (this.inBps(t) + this.outBps(t)) / 8 / (760 + 120 * wave(t, 80)) * (this.openAt(t, 'syn_flood') ? 1.35 : 1); }
  flows(t) { return Math.round(171000 + 26000 * wave(t, 90) + (this.openAt(t, 'syn_flood') ? 31000 : 0)); }
  drops(t) { return this.lossFrom !== null && t >= this.lossFrom ? Math.round(2400 * (1 + wave(t, 60))) : 0; }
  hasDirection() { return this.scenario !== 'no-direction'; }

  openAt(t, kind) {
    if (this.scenario === 'calm' || kind !== 'syn_flood') return false;
    const at = (((t - this.origin - 2460) % 2700) + 2700) % 2700;
    return t > this.origin + 2460 && at < 420;
  }

  // A value of the history; null outside of what is kept or where nothing was captured.
  metric(name, t, seconds) {
    if (this.scenario === 'restart' && t < this.started) return null;
    if (this.scenario === 'sparse' && Math.floor(t / 240) % 3 === 1) return null;
    const mid = t + seconds / 2;
    switch (name) {
      case 'bytes': return Math.round((this.inBps(mid) + this.outBps(mid)) / 8 * seconds);
      case 'bytes_in': return this.hasDirection() ? Math.round(this.inBps(mid) / 8 * seconds) : null;
      case 'bytes_out': return this.hasDirection() ? Math.round(this.outBps(mid) / 8 * seconds) : null;
      case 'bytes_peak': return Math.round((this.inBps(mid) + this.outBps(mid)) / 8 * (seconds > 1 ? 1.22 : 1));
      case 'packets': return Math.round(this.pps(mid) * seconds);
      case 'drops': return this.drops(mid) * seconds;
      case 'flows_active': return this.flows(mid);
      case 'flows_opened': return Math.round(6120 * (1 + 0.2 * wave(mid, 95)) * seconds);
      case 'flows_ended': return Math.round(6090 * (1 + 0.2 * wave(mid, 97)) * seconds);
      case 'retransmissions': return Math.round(900 * (1 + wave(mid, 98)) * seconds);
      case 'alerts': return this.alerts().filter((a) => a.began >= t && a.began < t + seconds).length;
      case 'rtt_p50': return Math.round(800 * (1 + 0.3 * wave(mid, 99)));
      case 'rtt_p99': return Math.round(48000 * (1 + 0.3 * wave(mid, 101)));
      case 'batch_p50': return 14 * (1 + 0.3 * wave(mid, 120)) + (this.openAt(mid, 'syn_flood') ? 6 : 0);
      case 'batch_p95': return 29 * (1 + 0.35 * wave(mid, 121)) + (this.openAt(mid, 'syn_flood') ? 14 : 0);
      case 'batch_p99': return 47 * (1 + 0.4 * wave(mid, 122)) + (this.openAt(mid, 'syn_flood') ? 40 : 0);
      default: return undefined;
    }
  }

  alerts(now = this.time()) {
    if (this.scenario === 'calm') return [];
    const list = alertsAt(now, now - DAY, this.acknowledged, this.origin);
    if (this.scenario === 'hostile' && list.length > 0) {
      list[0] = { ...list[0], description: '<img src=x onerror=alert(1)> \u202Egnp.exe\u202C \u0007\u001b[31m ' + 'long '.repeat(300), key: '\u202Eevil' };
    }
    return list;
  }

  ledger() {
    const of_received = this.lost.ring + this.lost.kernel;
    return {
      received: this.received, filtered: 2131, processed: this.received - of_received - 118, waiting: 118, unaccounted: 0,
      losses: [
        { layer: 'card', name: 'interface_drops', packets: this.lost.card, unit: 'packets', of_received: false },
        { layer: 'kernel', name: 'kernel_drops', packets: this.lost.kernel, unit: 'packets', of_received: true },
        ...['damaged', 'skipped', 'beyond_count', 'unread_at_end'].map((name) => ({ layer: 'engine', name, packets: 0, unit: 'packets', of_received: true })),
        { layer: 'copies', name: 'taps_skipped', packets: 0, unit: 'copies', of_received: false },
        { layer: 'output', name: 'syslog tls://log.example:6514', packets: this.scenario === 'loss' ? 41 : 0, unit: 'messages', of_received: false },
      ],
      lost_total: of_received + this.lost.card, last_loss: this.last_loss,
    };
  }

  queues(t, packets) {
    const share = [0.27, 0.24, 0.3, 0.19];
    return share.map((part, q) => {
      const is_hot = this.scenario === 'loss' && q === 2;
      const load = is_hot ? 0.97 : Math.max(0.05, Math.min(0.95, 1.15 * part + 0.2 * wave(t, 200 + q) + (q === 2 ? 0.25 : 0)));
      const us = 9 + 20 * load;
      return {
        queue: q, interface: 'eth1', packets: Math.round(packets * part), bytes: Math.round(packets * part * 760), packets_total: Math.round(this.received * part), load,
        ring: { used: is_hot ? 62 : Math.round(64 * Math.max(0.02, load * load * 0.42)), size: 64, unit: 'blocks' },
        batch: { count: Math.round(packets * part / 48), p50_us: us, p99_us: us * 2.1, max_us: us * 7 },
        kernel_drops_total: is_hot ? this.lost.kernel : 0, silent_since: null,
      };
    });
  }

  protocols(packets, bytes) {
    const part = (p, b) => ({ packets: Math.round(packets * p), bytes: Math.round(bytes * b) });
    return { tcp: part(0.71, 0.742), udp: part(0.27, 0.252), icmp: part(0.01, 0.003), other_ip: part(0.007, 0.002), non_ip: part(0.003, 0.001) };
  }

  // What a second brought. Moves the totals on.
  tick(flows) {
    const ts = Math.floor(this.time());
    const t = ts - 0.5;
    const packets = Math.round(this.pps(t));
    const [bytes_in, bytes_out] = [Math.round(this.inBps(t) / 8), Math.round(this.outBps(t) / 8)];
    const bytes = bytes_in + bytes_out;
    const drops = this.drops(t);
    this.received += packets;
    this.lost.kernel += drops;
    this.lost.card += Math.floor(drops / 9);
    if (drops > 0) this.last_loss = ts;
    this.opened += 6120;
    this.seq += 1;
    const alerts = this.alerts(ts);
    const severities = { low: 0, medium: 0, high: 0 };
    for (const alert of alerts) if (alert.state === 'open') severities[alert.severity] += 1;
    const bps = bytes * 8;
    const host = (ip, share, in_share) => ({ ip, bps: bps * share, bps_in: bps * share * in_share, bps_out: bps * share * (1 - in_share), share });
    return {
      ts, frame_seq: this.seq, server_ts: Date.now() / 1000, interval_ms: 1000, bytes, packets, mbps: bps / 1e6, pps: packets, active_flows: this.flows(t),
      dispatch_drops: 0, dispatch_drops_total: 0, kernel_drops: drops, kernel_drops_total: this.lost.kernel, kernel_if_drops: Math.floor(drops / 9), kernel_if_drops_total: this.lost.card,
      top_flows: flows.top(10), state: this.scenario === 'file' ? 'ended' : 'live',
      direction: this.hasDirection() ? { in: { bytes: bytes_in, packets: Math.round(packets * 0.64) }, out: { bytes: bytes_out, packets: Math.round(packets * 0.34) }, internal: { bytes: 0, packets: 0 }, through: { bytes: 0, packets: 0 } } : null,
      protocols: this.protocols(packets, bytes), flows: { active: this.flows(t), opened: Math.round(6120 * (1 + 0.2 * wave(t, 95))), ended: 6090, opened_total: this.opened, ended_total: this.opened - this.flows(t) },
      ledger: this.ledger(), queues: this.queues(t, packets),
      rtt: { p50_ms: 0.8 * (1 + 0.3 * wave(t, 99)), p90_ms: 12 * (1 + 0.3 * wave(t, 100)), p99_ms: 48 * (1 + 0.3 * wave(t, 101)), handshake_p50_ms: 5.1 * (1 + 0.2 * wave(t, 102)), samples: 12040 },
      retransmissions: { segments: 8211, share: 0.009 * (1 + 0.4 * wave(t, 98)) },
      microbursts: hash01(ts, 7) > 0.985 || alerts.some((a) => a.kind === 'microburst' && a.state === 'open') ? [{ interface: 'eth1', peak_bps: 9.3e9, share_of_link: 0.93, length_us: 14000, bursts: 3 }] : [],
      talkers: TALKERS.map(([ip, share, in_share]) => host(ip, share * (1 + 0.12 * wave(t, ip.length * 31 + 7)), in_share)).sort((a, b) => b.bps - a.bps),
      services: SERVICES.map(([name, protocol, port, share]) => ({ name, protocol, port, bps: bps * share, share })),
      alerts_open: severities, alerts_today: alerts.length, memory_bytes: 412e6 + 2e6 * wave(t, 110), cpu_share: 0.4 + 0.1 * wave(t, 111),
      outputs: [{ name: 'flows.jsonl', lost: 0, state: 'keeps up' }, { name: 'alerts.jsonl', lost: 0, state: 'keeps up' }, { name: 'syslog tls://log.example:6514', lost: this.scenario === 'loss' ? 41 : 0, state: this.scenario === 'loss' ? 'behind' : 'keeps up' }],
    };
  }

  hello(role = 'download') {
    const is_file = this.scenario === 'file';
    return {
      type: 'hello', version: '0.1.0', tick_ms: 1000, boot_id: this.boot_id, started: this.started, server_ts: Date.now() / 1000,
      source: { kind: is_file ? 'file' : 'live', name: is_file ? 'trace.pcapng' : 'eth1', interfaces: is_file ? [] : ['eth1'], backend: is_file ? 'file' : 'tpacket', link_speed_bps: is_file ? null : LINK_BPS, replay_speed: is_file ? 4 : null },
      host: 'probe-01', role, sampling: { sample_rate: 1, payload_bytes: 256, packet_buffer: 2000 }, has: { detection: true, recorder: true, history: true, packets: true, direction_history: this.hasDirection() },
    };
  }
}
