// Alerts that begin, grow and end by the clock alone.

const endpoint = (ip, port = null, network = null) => ({ ip, port, network });

// `period` and `offset` say when it begins, `length` how long it lives, all in seconds.
const TEMPLATES = [
  { kind: 'syn_flood', severity: 'high', variant: 'distributed', technique: 'syn', period: 2700, offset: 2460, length: 420,
    victim: endpoint('203.0.113.80', 443), attacker: null, direction: 'inbound', rate: 41200, count: 'attempts',
    text: (n) => `SYN flood against 203.0.113.80:443: ${n} attempts from about 9800 sources, 0.4 % completed`,
    counts: (n) => ({ attempts: n, repeated_syns: Math.floor(n / 9), answered: Math.floor(n * 0.31), refused: 0, completed: Math.floor(n * 0.004) }),
    distinct: { sources: { count: 9800, exact: false, error: 0.0325 } }, completion_ratio: 0.004,
    thresholds: (n) => [{ name: 'syn_threshold', limit: 200, value: Math.min(n, 206000) }, { name: 'unique_src_threshold', limit: 50, value: 9800 }],
    top_sources: ['198.51.100.14', '198.51.100.77', '192.0.2.201', '198.51.100.3', '192.0.2.9'], ports: [], window: 5, cooldown: 10 },
  { kind: 'port_scan', severity: 'medium', variant: 'vertical', technique: 'half_open', period: 1500, offset: 900, length: 95,
    victim: endpoint('10.2.4.17'), attacker: endpoint('198.51.100.23'), direction: 'inbound', rate: 32, count: 'contacts',
    text: (n) => `Port scan by 198.51.100.23 of 10.2.4.17: ${n} ports, 98 % refused`,
    counts: (n) => ({ contacts: n, failed: Math.floor(n * 0.98), succeeded: Math.ceil(n * 0.02), refused: Math.floor(n * 0.97), completed: 0 }),
    distinct: { contacts: { count: 612, exact: false, error: 0.0325 }, hosts: { count: 1, exact: true, error: 0 }, ports: { count: 612, exact: false, error: 0.0325 } },
    completion_ratio: 0.02, thresholds: (n) => [{ name: 'unique_ports_threshold', limit: 25, value: Math.min(n, 320) }], top_sources: [], ports: [22, 23, 80, 443, 3306, 5432, 8080], window: 10, cooldown: 30 },
  { kind: 'microburst', severity: 'low', variant: 'many_flows', technique: null, period: 1130, offset: 300, length: 14,
    victim: endpoint('10.2.0.9'), attacker: null, direction: 'internal', rate: 3, count: 'bins_above',
    text: (n) => `Microburst on eth1: 97 % of the link for ${n} ms`,
    counts: (n) => ({ bins_above: n, intervals: Math.ceil(n / 3), peak_bytes: 1212000, peak_packets: 1610, bin_us: 1000, link_mbps: 10000 }),
    distinct: {}, completion_ratio: null, thresholds: () => [{ name: 'share_percent', limit: 80, value: 97 }], top_sources: ['10.2.0.9', '10.2.8.30'], ports: [], window: 1, cooldown: 10 },
  { kind: 'brute_force', severity: 'medium', variant: 'single_source', technique: null, period: 5400, offset: 3700, length: 640,
    victim: endpoint('10.2.7.48', 22), attacker: endpoint('192.0.2.66'), direction: 'inbound', rate: 2, count: 'attempts',
    text: (n) => `Brute force of SSH logins at 10.2.7.48:22 by 192.0.2.66: ${n} attempts`,
    counts: (n) => ({ attempts: n, sessions: n, bytes: n * 4120 }), distinct: { hosts: { count: 1, exact: true, error: 0 } }, completion_ratio: null,
    thresholds: (n) => [{ name: 'attempts_threshold', limit: 30, value: Math.min(n, 240) }], top_sources: ['192.0.2.66'], ports: [22], window: 900, cooldown: 300 },
  { kind: 'volume_flood', severity: 'high', variant: 'amplification', technique: 'dns', period: 9100, offset: 5000, length: 210,
    victim: endpoint('203.0.113.12'), attacker: null, direction: 'inbound', rate: 160000, count: 'packets',
    text: (n) => `DNS amplification against 203.0.113.12: 1.9 Gbit/s of answers that nobody asked for, ${n} packets`,
    counts: (n) => ({ packets: n, bytes: n * 1480, packets_per_sec: 161000, bits_per_sec: 1906000000 }), distinct: { sources: { count: 1430, exact: false, error: 0.0325 } }, completion_ratio: null,
    thresholds: () => [{ name: 'udp_bits_per_sec', limit: 1000000000, value: 1906000000 }], top_sources: ['192.0.2.53', '198.51.100.53'], ports: [53], window: 5, cooldown: 30 },
  { kind: 'beacon', severity: 'low', variant: 'one_destination', technique: null, period: 21600, offset: 14000, length: 12600,
    victim: endpoint('198.51.100.199', 8443), attacker: endpoint('10.2.8.31'), direction: 'outbound', rate: 0.0167, count: 'connections',
    text: (n) => `Beacon from 10.2.8.31 to 198.51.100.199:8443: ${n} connections, every 60 s`,
    counts: (n) => ({ connections: n, bytes_sent: n * 812, interval_secs: 60, jitter_secs: 1, score_permille: 941, timing_permille: 972 }), distinct: {}, completion_ratio: null,
    thresholds: () => [{ name: 'score_percent', limit: 80, value: 94 }], top_sources: [], ports: [8443], window: 3600, cooldown: 600 },
];

function make(template, began, now, acknowledged) {
  const end = began + template.length;
  const is_open = now < end;
  const n = Math.max(1, Math.floor(template.rate * (Math.min(now, end) - began + 1)));
  const subject = template.victim?.ip ?? template.attacker?.ip;
  const key = `${template.kind} ${subject}${template.victim?.port ? `:${template.victim.port}` : ''}`;
  return {
    id: `${template.kind}:${key}:${began}`, state: is_open ? 'open' : 'ended', acknowledged,
    ts: is_open ? now : end, kind: template.kind, description: template.text(n), phase: is_open ? 'update' : 'end', ended_by: is_open ? null : 'quiet',
    severity: template.severity, key, variant: template.variant, technique: template.technique, began, attacker: template.attacker, victim: template.victim,
    direction: template.direction, counts: template.counts(n), distinct: template.distinct, completion_ratio: template.completion_ratio, at_least: false,
    top_sources: template.top_sources.map((ip, i) => ({ ip, packets: Math.max(1, Math.floor(n / (7 + 5 * i))) })), ports: template.ports, details: {},
    packets: [812331, 812340, 812344], flows: [{ community_id: '1:LQU9qZlK+B5F3KDmev6m5PMibrg=', protocol: 'tcp' }], thresholds: template.thresholds(n),
    window_secs: template.window, cooldown_secs: template.cooldown, recording: `rec-${began}-${template.kind}.pcapng`,
  };
}

// All alerts that began in (from, now], latest first. `origin` is when the world began.
export function alertsAt(now, from, acknowledged, origin) {
  const found = [];
  for (const template of TEMPLATES) {
    const first = Math.ceil((from - origin - template.offset) / template.period);
    for (let k = first; ; k++) {
      const began = origin + k * template.period + template.offset;
      if (began > now) break;
      const alert = make(template, began, now, null);
      alert.acknowledged = acknowledged.get(alert.id) ?? null;
      found.push(alert);
    }
  }
  return found.sort((a, b) => b.began - a.began);
}

export const KINDS = TEMPLATES.map((t) => t.kind);
