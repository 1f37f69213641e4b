// Numbers, times and foreign text as people read them. Knows no element and no state.
//
// Numbers have three significant digits and always the same form, so that they do not jump. What is not known is NONE.

export const NONE = '–';

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const known = (value) => typeof value === 'number' && Number.isFinite(value);

// Three significant digits: 7.42, 74.2, 742. Small numbers keep three decimals at most.
export function digits(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  if (size >= 0.9995) return value.toFixed(2);
  return value.toFixed(3);
}

// { value: '7.42', unit: 'Gbit/s' } of a number and its unit.
export function scaled(value, unit) {
  if (!known(value)) return { value: NONE, unit };
  let size = Math.abs(value);
  let power = 0;
  while (size >= 999.5 && power < PREFIXES.length - 1) { size /= 1000; power += 1; }
  const sign = value < 0 ? '−' : '';
  const text = power === 0 && Number.isInteger(size) ? String(size) : digits(size);
  return { value: sign + text, unit: PREFIXES[power] + unit };
}

const joined = ({ value, unit }) => (unit ? `${value} ${unit}` : value);

// Units: bits per second, bytes, packets per second, plain counts.
export const bitsParts = (bps) => scaled(bps, 'bit/s');
export const packetsParts = (pps) => scaled(pps, 'pps');
export const countParts = (count) => scaled(count, '');
export const bits = (bps) => joined(bitsParts(bps));
export const bytes = (count) => joined(scaled(count, 'B'));
export const packets = (pps) => joined(packetsParts(pps));
export const count = (value) => joined(countParts(value)).trim();
// All digits, grouped.
export const exact = (value) => (known(value) ? whole.format(value) : NONE);

// A share of 1 in percent.
export function percent(share) {
  if (!known(share)) return NONE;
  const value = share * 100;
  if (value === 0) return '0 %';
  if (Math.abs(value) < 0.1) return '< 0.1 %';
  return `${Math.abs(value) >= 9.95 ? value.toFixed(0) : value.toFixed(1)} %`;
}

// Milliseconds, in the unit that fits.
export function ms(value) {
  if (!known(value)) return NONE;
  if (value === 0) return '0 ms';
  if (Math.abs(value) < 0.9995) return `${digits(value * 1000)} µs`;
  if (Math.abs(value) < 9999.5) return `${digits(value)} ms`;
  return `${digits(value / 1000)} s`;
}
export const us = (value) => ms(known(value) ? value / 1000 : null);

// Seconds as '40 s', '2 min 11 s', '3 h 5 min', '23 d 4 h'.
export function duration(secs) {
  if (!known(secs)) return NONE;
  const s = Math.max(0, Math.floor(secs));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  const two = (large, small, size, part) => (Math.floor((s % size) / part) ? `${Math.floor(s / size)} ${large} ${Math.floor((s % size) / part)} ${small}` : `${Math.floor(s / size)} ${large}`);
  return s < 86400 ? two('h', 'min', 3600, 60) : two('d', 'h', 86400, 3600);
}

// The same with one unit: '2 min', '3 h'.
export function shortDuration(secs) {
  if (!known(secs)) return NONE;
  const s = Math.max(0, Math.floor(secs));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const shortClockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const zoneFormat = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short', hour: '2-digit' });

// Unix seconds as a time of day in the browser's zone.
export const clock = (ts) => (known(ts) ? clockFormat.format(ts * 1000) : NONE);
export const shortClock = (ts) => (known(ts) ? shortClockFormat.format(ts * 1000) : NONE);
export const day = (ts) => (known(ts) ? dayFormat.format(ts * 1000) : NONE);
export const zone = () => zoneFormat.formatToParts(0).find((part) => part.type === 'timeZoneName')?.value ?? '';
// With the day where it is not that of `now`.
export function when(ts, now) {
  if (!known(ts)) return NONE;
  return day(ts) === day(now) ? clock(ts) : `${day(ts)} ${shortClock(ts)}`;
}
export const iso = (ts) => (known(ts) ? new Date(ts * 1000).toISOString() : '');

// Foreign text so that it can do nothing: control characters as symbols, marks that turn text around by number, cut at `max` characters.
export function visible(text, max = 400) {
  const chars = Array.from(String(text ?? '').slice(0, max * 2 + 2));
  const cut = chars.length > max ? [...chars.slice(0, max - 1), '…'] : chars;
  return cut.map((char) => {
    const code = char.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return '␡';
    if (code >= 0x80 && code < 0xa0) return '␦';
    const turns = code === 0x200e || code === 0x200f || code === 0x061c || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return turns ? `‹U+${code.toString(16).toUpperCase().padStart(4, '0')}›` : char;
  }).join('');
}

// '2 alerts', '1 alert'.
export const plural = (n, word, words = `${word}s`) => `${exact(n)} ${n === 1 ? word : words}`;
