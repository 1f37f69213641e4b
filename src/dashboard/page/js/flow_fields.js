// The fields of flows: what the server says of them, and how their values are shown.
//
// Owns the text form of a field's value. Knows no view. Invariant: a field that is not known here is shown by its type and unit.

import { NONE, bits, bytes, count, digits, duration, exact, iso, known, ms, visible, when } from './format.js';

/** Words of values that are codes. */
const WORDS = {
  tcp_state: { syn_sent: 'SYN sent', syn_ack: 'SYN-ACK', fin_wait: 'closing', established: 'established', closed: 'closed', reset: 'reset', unknown: 'unknown' },
  flow_state: { syn_sent: 'SYN sent', syn_ack: 'SYN-ACK', fin_wait: 'closing', one_way: 'one way', two_way: 'both ways' },
  app_known_by: { passive_dns: 'passive DNS' },
  client: { a_to_b: 'endpoint A', b_to_a: 'endpoint B' },
  initiator: { a_to_b: 'endpoint A', b_to_a: 'endpoint B' },
  tcp_state_detail: {
    syn_sent: 'SYN-SENT', syn_received: 'SYN-RECEIVED', established: 'ESTABLISHED', fin_wait_1: 'FIN-WAIT-1', fin_wait_2: 'FIN-WAIT-2', close_wait: 'CLOSE-WAIT', closing: 'CLOSING',
    last_ack: 'LAST-ACK', time_wait: 'TIME-WAIT', closed: 'CLOSED', unknown: 'unknown',
  },
  end_reason: { timeout: 'silent too long', eviction: 'table was full', closed: 'closed', active_timeout: 'active timeout', exit: 'capture ended' },
};
const MONO = /(_ip|_mac|community_id|icmp_error_for|flags|ja[34])/;
export const TIME_OF_DAY = new Set(['first_seen', 'last_seen', 'ts']);

/** The description of all fields; made once per page. */
export class Fields {
  constructor(list) {
    this.list = list;
    this.byName = new Map(list.map((field) => [field.name, field]));
  }

  has(name) {
    return this.byName.has(name);
  }

  get(name) {
    return this.byName.get(name);
  }

  word(name) {
    return this.byName.get(name)?.filter_word || null;
  }

  /** Groups in the order in which they come: [[group, fields]]. */
  groups() {
    const groups = new Map();
    for (const field of this.list) {
      const group = field.group || 'Other';
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(field);
    }
    return [...groups];
  }
}

let asked = null;

/** Fields as the server has them. Asked once; again after a failure. */
export function loadFields(app) {
  asked ??= app.api('api/v1/fields').then((answer) => new Fields(answer.fields ?? [])).catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

/** The value of a field in a flow; members of objects by a dot, or as columns are named: `tls_sni` is `sni` of `tls`. */
export function valueOf(flow, name) {
  if (flow[name] !== undefined) return flow[name];
  const cut = name.indexOf('_');
  const object = cut > 0 ? flow[name.slice(0, cut)] : null;
  if (object && typeof object === 'object') return object[name.slice(cut + 1)];
  let value = flow;
  for (const part of name.split('.')) value = value?.[part];
  return value;
}

/** Numbers that count or measure, as against those that name (ports, identifiers). */
export function isQuantity(field) {
  return (Boolean(field.unit) || ['number', 'seconds', 'milliseconds', 'rate'].includes(field.type)) && !NAMING.test(field.name);
}
const NAMING = /(_port|_id|_type|_code|^vlan|^ip_version|^first_packet|^queues|^dscp_|^ecn_|^tcp_options_)/;

export const isMono = (field) => field.type === 'address' || field.type === 'endpoint' || MONO.test(field.name);

/** A value in words with its unit, for the detail of a flow. */
export function sayValue(field, value) {
  if (value === null || value === undefined || value === '') return NONE;
  if (Array.isArray(value)) return value.length === 0 ? NONE : value.map((part) => visible(part, 60)).join(', ');
  if (typeof value === 'object') return 'ip' in value ? endpoint(value.ip, value.port) : visible(JSON.stringify(value));
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (!known(value)) return WORDS[field.name]?.[value] ?? visible(value);
  if (TIME_OF_DAY.has(field.name)) return when(value, Date.now() / 1000);
  if (field.unit === 'bytes') return value < 10_000 ? `${exact(value)} B` : `${bytes(value)}`;
  if (field.unit === 'bit/s') return bits(value);
  if (field.unit === 'ms') return ms(value);
  if (field.unit === 's') return duration(value);
  if (field.unit) return `${exact(value)} ${value === 1 ? field.unit.replace(/s$/, '') : field.unit}`;
  if (!Number.isInteger(value)) return digits(value);
  return isQuantity(field) ? exact(value) : String(value);
}

/** The exact value, for a title; empty where the text says all. */
export function exactValue(field, value) {
  if (!known(value)) return '';
  if (TIME_OF_DAY.has(field.name)) return `${iso(value)} (UTC)`;
  if (field.unit) return `${GROUPED_EXACT.format(value)} ${field.unit}`;
  return '';
}
const GROUPED_EXACT = new Intl.NumberFormat('en', { maximumFractionDigits: 9 });

/** A value in a column, whose heading has the unit. */
export function cellValue(field, value) {
  if (known(value)) {
    if (TIME_OF_DAY.has(field.name)) return when(value, Date.now() / 1000);
    if (field.unit === 'ms') return digits(value);
    if (field.unit === 's') return digits(value);
    if (isQuantity(field)) return count(value);
  }
  return sayValue({ ...field, unit: '' }, value);
}

/** The unit for the heading of a column. */
export function headingUnit(field) {
  if (TIME_OF_DAY.has(field.name)) return '';
  return { bytes: 'B', packets: '', segments: '', samples: '' }[field.unit] ?? field.unit ?? '';
}

/** An address with a port; brackets around IPv6. */
export function endpoint(ip, port) {
  if (!ip) return NONE;
  if (!port) return String(ip);
  return String(ip).includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
