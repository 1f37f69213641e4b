// Which time is looked at: live with a length, or from one moment to another. The address keeps it.

import { Emitter } from './emitter.js';

export const SPANS = [{ secs: 300, label: '5 min' }, { secs: 3600, label: '1 h' }, { secs: 86400, label: '24 h' }];
const DEFAULT_SPAN = 3600;
const SPAN_MIN = 10;

export class Time {
  constructor(route, store) {
    this.emitter = new Emitter();
    this.route = route;
    this.store = store;
    this.read();
    route.on(() => { if (this.read()) this.emitter.emit('change', this); });
  }

  // True where something changed.
  read() {
    const { params } = this.route;
    const [from, to] = [Number(params.get('from')), Number(params.get('to'))];
    const fixed = params.has('from') && Number.isFinite(from) && Number.isFinite(to) && to - from >= 1 ? { from, to } : null;
    const asked = Number(params.get('range'));
    const span = fixed ? fixed.to - fixed.from : SPANS.some(({ secs }) => secs === asked) ? asked : DEFAULT_SPAN;
    const before = JSON.stringify([this.fixed, this.span]);
    this.fixed = fixed;
    this.span = span;
    return before !== JSON.stringify([fixed, span]);
  }

  // Unix seconds.
  get live() { return this.fixed === null; }
  get to() { return this.fixed?.to ?? this.store.now(); }
  // Of a file that is shorter than the span, its begin.
  get from() {
    if (this.fixed) return this.fixed.from;
    const from = this.store.now() - this.span;
    const begin = this.store.fileBegin();
    return begin !== null && begin > from ? Math.min(begin, this.store.now() - SPAN_MIN) : from;
  }

  // `{ span }`: live again, that long. `{ from, to }`: that time. `{ live: false }`: what is shown now, standing still.
  set({ span, from, to, live }) {
    if (span !== undefined) this.route.set({ range: span === DEFAULT_SPAN ? null : span, from: null, to: null });
    else if (from !== undefined) {
      const middle = (from + to) / 2;
      const half = Math.max(SPAN_MIN, to - from) / 2;
      this.route.set({ range: null, from: Math.round(middle - half), to: Math.round(middle + half) });
    } else if (live === false) this.route.set({ range: null, from: Math.round(this.from), to: Math.round(this.to) });
    else if (live === true) {
      const nearest = SPANS.find(({ secs }) => secs >= this.span - 1)?.secs ?? 86400;
      this.set({ span: nearest });
    }
  }

  toggle() { this.set({ live: !this.live }); }

  // Half a length back (-1) or on (1). On to about the present it is live again.
  step(direction) {
    const move = this.span / 2 * direction;
    if (this.live && direction > 0) return;
    const to = this.to + move;
    if (to >= this.store.now() - this.span / 20) { this.set({ live: true }); return; }
    this.set({ from: this.from + move, to });
  }

  on(listener) { return this.emitter.on('change', listener); }
}
