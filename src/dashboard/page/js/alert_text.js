// Alerts in words. Knows the fields of docs/alert.schema.json and no element.

import * as format from './format.js';

export const SEVERITIES = ['high', 'medium', 'low'];
export const KINDS = {
  syn_flood: 'SYN flood', port_scan: 'Port scan', volume_flood: 'Flood by volume', microburst: 'Microburst', arp_spoofing: 'ARP spoofing', dhcp_flood: 'DHCP flood',
  rogue_dhcp: 'Rogue DHCP server', brute_force: 'Brute force', beacon: 'Beacon', long_connection: 'Long connection', data_out: 'Data sent out',
  dns_tunnel: 'DNS tunnel', nxdomain_storm: 'NXDOMAIN storm', tls_certificate: 'TLS certificate', cleartext_password: 'Password in the clear', port_mismatch: 'Protocol on another port',
};
const THRESHOLDS = { syn_threshold: 'Attempts not completed', unique_src_threshold: 'Sources', unique_ports_threshold: 'Ports', unique_hosts_threshold: 'Hosts' };

const words = (name) => { const text = name.replaceAll('_', ' '); return text.charAt(0).toUpperCase() + text.slice(1); };
export const kindText = (kind) => KINDS[kind] ?? words(format.visible(kind, 40));

// An endpoint as text: address, network, or service; empty where there is none.
export function endpointText(end) {
  if (!end) return '';
  const host = end.ip ?? end.network ?? '';
  if (!host || end.port === null || end.port === undefined) return host;
  return host.includes(':') ? `[${host}]:${end.port}` : `${host}:${end.port}`;
}

// 'SYN flood → 203.0.113.80:443', 'Port scan 198.51.100.23 → 10.2.4.17'.
export function title(alert) {
  const [from, to] = [endpointText(alert.attacker), endpointText(alert.victim)];
  const between = from && to ? `${from} → ${to}` : to ? `→ ${to}` : from ? `from ${from}` : '';
  return format.visible(`${kindText(alert.kind)} ${between}`.trim(), 160);
}

// What a list of alerts says while it is empty: into `state`, a PanelState. `way` leads out of what was chosen, null where nothing was.
export function sayNone(state, store, way = null) {
  if (store.hello?.has?.detection === false) state.nothing('Detection is off', 'Start NetScope with --anomalies to look for attacks.');
  else if (way && store.alerts.size > 0) state.nothing('No alert fits', 'Others are there.', way);
  else if (store.alerts_state === 'loading') state.loading('Loading alerts');
  else if (store.alerts_state === 'failed') state.failed('Alerts cannot be loaded', store.alerts_error, () => store.loadAlerts());
  else state.nothing('✓ No alerts', 'Nothing was found in the last 24 hours.');
}

// Numbers of a sentence in groups of three: '11,699,481 attempts'. Ports, addresses and names stay as they are.
export const grouped = (text) => text.replace(/(?<=^|\s)(?<!\bports? [\w ]*)\d{4,15}(?= [a-z])/g, (digits) => format.exact(Number(digits)));

// What stands behind the subject in the description, which the title has already.
export function detail(alert) {
  const text = String(alert.description ?? '');
  const at = text.indexOf(': ');
  const rest = at > 0 && at < 120 ? text.slice(at + 2) : text;
  return grouped(format.visible(rest.charAt(0).toUpperCase() + rest.slice(1), 400));
}

// Seconds that it has lasted; of an open one until `now`.
export const lasted = (alert, now) => (alert.state === 'open' ? Math.max(now, alert.ts) : alert.ts) - alert.began;
export function lifeText(alert, now) {
  return alert.state === 'open' ? `for ${format.shortDuration(lasted(alert, now))}` : `ended ${format.day(alert.ts) === format.day(now) ? format.shortClock(alert.ts) : format.when(alert.ts, now)}`;
}

// Open before ended, high before low, late before early; of those that ended, the last one first.
export function order(a, b) {
  if (a.state !== b.state) return a.state === 'open' ? -1 : 1;
  if (a.state === 'open' && a.severity !== b.severity) return SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity);
  return a.state === 'open' ? b.began - a.began : b.ts - a.ts;
}

// The filter whose flows are those of the alert; empty where it names nobody.
export function filterOf(alert) {
  const words_of = [];
  for (const end of [alert.attacker, alert.victim]) {
    const host = end?.ip ?? end?.network;
    if (host) words_of.push(`host:${host}`);
    if (end?.port) words_of.push(`port:${end.port}`);
  }
  if (words_of.length === 0 && alert.top_sources?.length) words_of.push(`host:${alert.top_sources[0].ip}`);
  return [...new Set(words_of)].join(' ');
}

function numberText(name, value) {
  if (name.includes('bits_per_sec')) return format.bits(value);
  if (name.includes('bytes')) return format.bytes(value);
  if (name.endsWith('_secs')) return format.duration(value);
  if (name.endsWith('_permille')) return format.percent(value / 1000);
  if (name.endsWith('_percent')) return `${format.exact(value)} %`;
  if (name.endsWith('_mbps')) return format.bits(value * 1e6);
  if (name.endsWith('_us')) return format.us(value);
  if (name.endsWith('_at_ns')) return format.clock(value / 1e9);
  return format.exact(value);
}
const label = (name) => words(name.replace(/_(secs|permille|percent|us|at_ns|ns|mbps)$/, (suffix) => (suffix === '_at_ns' ? '_at' : '')).replace('per_sec', 'a second').replace('link', 'link speed'));

// [[label, text]] of the counts, distinct ones and details.
export function evidence(alert) {
  const rows = Object.entries(alert.counts ?? {}).map(([name, value]) => [label(name), numberText(name, value)]);
  for (const [name, { count, exact, error }] of Object.entries(alert.distinct ?? {})) {
    rows.push([`Different ${name.replaceAll('_', ' ')}`, exact ? format.exact(count) : `≈ ${format.exact(count)} (± ${format.percent(error)})`]);
  }
  if (typeof alert.completion_ratio === 'number') rows.push(['Share completed', format.percent(alert.completion_ratio)]);
  for (const [name, value] of Object.entries(alert.details ?? {})) rows.push([words(name), format.visible(value, 200)]);
  if (alert.at_least) rows.push(['Note', 'numbers are what was seen at least']);
  return rows;
}

// [{ label, value, limit, times }] of the thresholds: how far each was crossed.
export function thresholds(alert) {
  return (alert.thresholds ?? []).map(({ name, limit, value }) => ({
    label: THRESHOLDS[name] ?? label(name.replace(/_threshold$/, '')), value: numberText(name, value), limit: numberText(name, limit), times: limit > 0 ? value / limit : null,
  }));
}

// What sort of its kind, by which packets, in which direction.
export function nature(alert) {
  const parts = [alert.variant, alert.technique && alert.technique !== alert.variant ? `by ${alert.technique}` : null, alert.direction];
  return parts.filter(Boolean).map((part) => format.visible(part, 40).replaceAll('_', ' ')).join(' · ');
}
