// What the link did: the latest hour by seconds, the latest day by minutes, in memory of fixed size.
//
// Values are totals of their slot, NaN where nothing is known. Times are Unix seconds.

const SECOND_COLUMNS = ['bytes', 'packets', 'bytes_in', 'bytes_out', 'drops', 'flows_active', 'bursts'];
const MINUTE_COLUMNS = ['bytes', 'packets', 'bytes_in', 'bytes_out', 'drops', 'flows_active', 'bytes_peak'];
export const HOUR = 3600;
export const DAY = 86400;
// Room for a step back beyond the hour.
const SECONDS_KEPT = 3600 + 600;
const MINUTES_KEPT = 1440 + 60;

// A ring of slots of `step` seconds; a column is a typed array.
export class Ring {
  constructor(step, size, names) {
    this.step = step;
    this.size = size;
    this.columns = Object.fromEntries(names.map((name) => [name, new Float64Array(size).fill(NaN)]));
    this.head = -1; // number of the latest slot
  }

  clear() { for (const column of Object.values(this.columns)) column.fill(NaN); this.head = -1; }

  slotOf(ts) { return Math.floor(ts / this.step); }

  has(slot) { return this.head >= 0 && slot <= this.head && slot > this.head - this.size; }

  // Makes `slot` the latest one, what lies between is unknown.
  advance(slot) {
    if (slot <= this.head) return;
    const from = this.head < 0 ? slot - this.size + 1 : Math.max(this.head + 1, slot - this.size + 1);
    for (const column of Object.values(this.columns)) for (let s = from; s <= slot; s++) column[s % this.size] = NaN;
    this.head = slot;
  }

  get(slot, name) { return this.has(slot) ? this.columns[name][slot % this.size] : NaN; }

  set(slot, name, value) {
    this.advance(slot);
    if (this.has(slot)) this.columns[name][slot % this.size] = value ?? NaN;
  }

  add(slot, name, value) {
    if (value === null || value === undefined) return;
    this.advance(slot);
    if (!this.has(slot)) return;
    const column = this.columns[name];
    const at = slot % this.size;
    column[at] = Number.isNaN(column[at]) ? value : column[at] + value;
  }

  max(slot, name, value) {
    this.advance(slot);
    if (!this.has(slot)) return;
    const column = this.columns[name];
    const at = slot % this.size;
    if (!(column[at] >= value)) column[at] = value;
  }
}

export class History {
  constructor() {
    this.seconds = new Ring(1, SECONDS_KEPT, SECOND_COLUMNS);
    this.minutes = new Ring(60, MINUTES_KEPT, MINUTE_COLUMNS);
    this.first_live = Infinity;
    this.last = null;
  }

  clear() { this.seconds.clear(); this.minutes.clear(); }

  // Ticks that begin at `ts` or later are the source of their seconds.
  connect(ts) {
    this.first_live = Math.floor(ts + 1e-3);
    this.last = null;
  }

  // Takes a tick. One of a second or more is that of its seconds and is spread over them; shorter ones add up. True when ticks
  // were missed since the one before.
  tick(tick) {
    const secs = tick.interval_ms / 1000;
    const before = this.last;
    const length = Math.max(1, Math.round(secs));
    const begin = tick.ts - secs;
    const slot = this.slotOfTick(begin, secs, length);
    const { direction } = tick;
    const values = { bytes: tick.bytes, packets: tick.packets, bytes_in: direction?.in.bytes, bytes_out: direction?.out.bytes, drops: tick.dispatch_drops + tick.kernel_drops + tick.kernel_if_drops };
    for (let i = 0; i < length; i++) {
      for (const [name, value] of Object.entries(values)) {
        if (value === null || value === undefined) continue;
        if (secs >= 0.95) this.seconds.set(slot + i, name, value / length); else this.seconds.add(slot + i, name, value);
      }
      this.seconds.set(slot + i, 'flows_active', tick.active_flows);
      for (const burst of tick.microbursts ?? []) this.seconds.max(slot + i, 'bursts', burst.share_of_link ?? 1);
    }
    return before !== null && slot > before.slot + before.length + 1;
  }

  // The second in which a tick began. Ticks that follow each other get seconds that do, though the clock's jitter crosses a second's bound.
  slotOfTick(begin, secs, length) {
    const { last } = this;
    let slot = this.seconds.slotOf(begin + 1e-3);
    if (secs >= 0.95 && last !== null && Math.abs(begin - last.begin - secs) < secs / 4 && Math.abs(last.slot + length - slot) <= 1) slot = last.slot + length;
    this.last = { begin, slot, length };
    if (slot < this.first_live) this.first_live = slot;
    return slot;
  }

  // The first moment of which something is known; null without any.
  firstKnown() {
    const { seconds } = this;
    for (let slot = Math.max(0, seconds.head - seconds.size + 1); slot <= seconds.head; slot++) if (!Number.isNaN(seconds.get(slot, 'bytes'))) return slot;
    return null;
  }

  // Takes an answer of `history`. Seconds that ticks filled stay as they are.
  fill(ring, answer) {
    const first = ring.slotOf(answer.from);
    const limit = ring === this.seconds ? this.first_live : Infinity;
    for (const [name, { values }] of Object.entries(answer.series)) {
      if (!(name in ring.columns)) continue;
      values.forEach((value, i) => {
        const slot = first + i;
        const is_gap = slot < ring.head && Number.isNaN(ring.get(slot, name));
        if (value !== null && (slot < limit || is_gap)) ring.set(slot, name, value);
      });
    }
  }

  // Writes rates per second of [from, to) into arrays of points that are `width` slots wide: `mean`, and the largest slot in `peak`.
  // `times` are the points' beginnings, at multiples of their width, so that points do not change while time moves on.
  points(ring, from, to, width, name, out) {
    const first = Math.floor(from / ring.step / width) * width;
    const last = Math.ceil(to / ring.step);
    let n = 0;
    // Of a minute, only what the server says is known about its seconds.
    const peak_name = ring.step === 1 ? name : `${name}_peak`;
    const has_peak = peak_name in ring.columns;
    for (let slot = first; slot < last; slot += width, n++) {
      let [sum, known, peak] = [0, 0, -Infinity];
      for (let s = slot; s < slot + width; s++) {
        const value = ring.get(s, name);
        if (Number.isNaN(value)) continue;
        sum += value; known += 1;
        const top = has_peak ? ring.get(s, peak_name) : NaN;
        if (top > peak) peak = top;
      }
      out.times[n] = slot * ring.step;
      out.mean[n] = known ? sum / known / ring.step : null;
      out.peak[n] = known && peak > -Infinity ? peak : null;
    }
    out.times.length = n; out.mean.length = n; out.peak.length = n;
    return out;
  }
}
