// The columns of the list of packets.
//
// Owns how a packet's line is drawn. Knows no view. Invariant: a protocol has the same colour everywhere, beside its name.

import { h, setAttr, setText } from './dom.js';
import { showText } from './elements.js';
import { kindOf } from './flow_columns.js';
import { clock, exact, iso } from './format.js';

const MICROS = 6;

/** Time of day with microseconds, in the viewer's zone. */
export function clockMicros(ts) {
  const fraction = Math.floor((ts - Math.floor(ts)) * 10 ** MICROS + 0.5);
  return `${clock(Math.floor(ts))}.${String(Math.min(fraction, 10 ** MICROS - 1)).padStart(MICROS, '0')}`;
}

/** The span of a cell, made once. */
function span(cell, className) {
  if (!cell.firstChild) cell.append(h('bdi', { class: className }));
  return cell.firstChild;
}

/** An address and its port: `10.0.0.1:80` and `[2001:db8::1]:80` as {ip, port}. */
export function splitEndpoint(text) {
  const match = /^\[([^\]]+)\]:(\d+)$|^([^:]+):(\d+)$/.exec(String(text));
  return match ? { ip: match[1] ?? match[3], port: match[2] ?? match[4] } : { ip: text ?? null, port: null };
}

function endColumn(key, label, words) {
  return {
    key, label, width: 'minmax(170px, .9fr)', class: 'mono',
    parts: (packet) => {
      const { ip, port } = splitEndpoint(packet[key]);
      if (!ip) return [];
      return [{ label: 'Host', word: 'host', value: ip }, { label, word: words, value: ip }, port ? { label: 'Port', word: 'port', value: port } : null].filter(Boolean);
    },
    render(cell, packet) { showText(span(cell, 'is-value'), packet[key], 60); },
  };
}

export const PACKET_COLUMNS = [
  { key: 'id', label: 'No.', align: 'end', width: '92px', class: 'is-number dim', parts: () => [], render(cell, packet) { setText(cell, String(packet.id)); } },
  {
    key: 'ts', label: 'Time', width: '140px', class: 'mono', parts: () => [],
    render(cell, packet) {
      setText(cell, clockMicros(packet.ts));
      setAttr(cell, 'title', `${iso(packet.ts)} (UTC)`);
    },
  },
  endColumn('src', 'Source', 'src'),
  endColumn('dst', 'Destination', 'dst'),
  {
    key: 'protocol', label: 'Protocol', width: '110px',
    parts: (packet) => [{ label: 'Protocol', word: 'protocol', value: String(packet.protocol).toLowerCase() }],
    render(cell, packet) {
      const tag = span(cell, 'tag');
      const name = `tag is-value kind-${kindOf(String(packet.protocol).toLowerCase())}`;
      if (tag.className !== name) tag.className = name;
      showText(tag, packet.protocol, 16);
    },
  },
  { key: 'len', label: 'Length', unit: 'B', align: 'end', width: '92px', class: 'is-number', parts: () => [], render(cell, packet) { setText(cell, exact(packet.len)); } },
  {
    key: 'info', label: 'Info', width: 'minmax(280px, 3fr)', class: 'mono', parts: () => [],
    render(cell, packet) {
      if (!cell.firstChild) cell.append(h('bdi', { class: 'packet-app' }), ' ', h('bdi', {}));
      showText(cell.firstChild, packet.app, 200);
      showText(cell.lastChild, packet.info, 300);
    },
  },
];
