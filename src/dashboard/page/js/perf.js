// The overlay of `?perf=1`: frames a second, how long messages take, the clock's offset.

import { h, setText } from './dom.js';
import { digits, NONE } from './format.js';

const SAMPLES = 120;
const PING_MS = 1000;

// The quantile of the values that are there; null without any.
export function quantile(samples, q) {
  const sorted = Array.from(samples).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : null;
}

export class Perf {
  constructor(app) {
    this.app = app;
    this.latency = new Float64Array(SAMPLES).fill(NaN); // from the server's time in the frame to its arrival, by the server's clock
    this.drawing = new Float64Array(SAMPLES).fill(NaN);
    this.arrivals = new Float64Array(SAMPLES).fill(NaN);
    this.next = 0;
    this.element = null;
  }

  route(params) {
    const is_wanted = params.get('perf') === '1';
    if (is_wanted === (this.element !== null)) return;
    if (is_wanted) {
      this.values = {};
      const row = (name, label) => [h('dt', { text: label }), (this.values[name] = h('dd', { text: NONE }))];
      this.element = h('aside', { class: 'perf', 'aria-label': 'Performance of the page' }, h('dl', {}, row('rate', 'frames/s'), row('latency', 'message p50 / p95 / p99'), row('draw', 'drawing p50 / p95 / p99'), row('rtt', 'round trip'), row('offset', 'server’s clock'), row('heap', 'heap')));
      document.body.append(this.element);
      this.app.socket.setPingInterval(PING_MS);
    } else {
      this.element.remove();
      this.element = null;
      this.app.socket.setPingInterval(null);
    }
  }

  frame(message, drawing_ms) {
    const now = Date.now();
    const at = this.next;
    this.next = (at + 1) % SAMPLES;
    this.arrivals[at] = performance.now();
    this.drawing[at] = drawing_ms;
    const { offset_ms } = this.app.socket.rtt;
    const sent = (message.tick.server_ts ?? message.tick.ts) * 1000;
    this.latency[at] = offset_ms === null ? NaN : now + offset_ms - sent;
    if (this.element) this.show();
  }

  show() {
    const three = (samples) => [0.5, 0.95, 0.99].map((q) => { const value = quantile(samples, q); return value === null ? NONE : digits(Math.max(0, value)); }).join(' / ');
    const times = Array.from(this.arrivals).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b).slice(-11);
    const rate = times.length > 1 ? (times.length - 1) / (times.at(-1) - times[0]) * 1000 : null;
    const { last_ms, offset_ms } = this.app.socket.rtt;
    setText(this.values.rate, rate === null ? NONE : digits(rate));
    setText(this.values.latency, `${three(this.latency)} ms`);
    setText(this.values.draw, `${three(this.drawing)} ms`);
    setText(this.values.rtt, last_ms === null ? NONE : `${digits(last_ms)} ms`);
    setText(this.values.offset, offset_ms === null ? NONE : Math.abs(offset_ms) < 0.5 ? 'the same' : `${digits(Math.abs(offset_ms))} ms ${offset_ms > 0 ? 'ahead' : 'behind'}`);
    setText(this.values.heap, performance.memory ? `${digits(performance.memory.usedJSHeapSize / 1e6)} MB` : NONE);
  }
}
