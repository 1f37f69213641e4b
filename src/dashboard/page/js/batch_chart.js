// How long batches took over the last hour: median, 95th and 99th percentile of all queues together.
//
// Owns the question to `history`, asked again every REFRESH_MS while the chart is shown, and the answer, of at most HOUR / STEP_SECS points.
// Invariant: a point is of the batches of its own seconds; a time without batches is a gap.

import { TimeChart } from './chart.js';
import { h } from './dom.js';
import * as format from './format.js';
import { HOUR } from './history.js';

const STEP_SECS = 10;
const REFRESH_MS = 10_000;
const SERIES = [
  { metric: 'batch_p99', label: 'p99', token: 'c4', width: 1.5 }, { metric: 'batch_p95', label: 'p95', token: 'c3', width: 1.5 }, { metric: 'batch_p50', label: 'p50', token: 'c1', width: 2, fill: 0.12 },
];

/** Values of `history` with what is beside numbers as gaps: [times, values of each metric]. */
export function batchPoints(answer, metrics) {
  const series = metrics.map((metric) => (answer.series[metric]?.values ?? []).map((value) => (format.known(value) ? value : null)));
  const count = Math.max(0, ...series.map((values) => values.length));
  const times = Array.from({ length: count }, (_, i) => answer.from + i * answer.step);
  return [times, ...series.map((values) => times.map((_, i) => values[i] ?? null))];
}

export class BatchChart {
  constructor(app) {
    this.app = app;
    this.state = 'loading';
    this.points = [[], ...SERIES.map(() => [])];
    const { store } = app;
    // The hour up to now, whatever time other views look at; a selection by dragging has no meaning here.
    const time = { get to() { return store.now(); }, get from() { return store.now() - HOUR; }, span: HOUR, live: true, set() {} };
    this.chart = new TimeChart({ ...app, time, get reduced() { return app.reduced; } }, {
      label: 'Batch times', series: SERIES.map(({ metric, ...series }) => ({ ...series, words: format.us })), data: () => this.points, axis: (value) => (value === 0 ? '0' : format.us(value).replace(/\.0+(?= )|(\.\d*[1-9])0+(?= )/, '$1')),
      range: (min, max) => [0, Math.max(1, (max ?? 1) * 1.1)], summary: (data) => this.summary(data), none: (state) => this.sayNone(state),
      tip: (i, data) => SERIES.map(({ label, token }, n) => [label, format.us(data[n + 1][i]), token]),
    });
    this.legend = h('ul', { class: 'batch-legend' }, SERIES.map(({ label, token }) => h('li', {}, h('i', { 'aria-hidden': 'true', style: { background: `var(--${token})` } }), label)));
    this.note = h('span', { text: 'all queues, last hour' });
    this.aside = h('span', {}, this.note, ' ', this.chart.toggle);
    this.element = h('div', { class: 'batch-chart' }, this.legend, this.chart.root);
  }

  summary(data) {
    const last = data[0].length - 1;
    return last < 0 ? 'Nothing is known.' : `Lastly ${SERIES.map(({ label }, n) => `${label} ${format.us(data[n + 1].findLast((value) => value !== null) ?? null)}`).join(', ')}.`;
  }

  sayNone(state) {
    if (this.state === 'none') state.nothing('No batch times', 'The server keeps no history.');
    else if (this.state === 'failed') state.failed('Batch times cannot be loaded', this.error, () => this.load());
    else if (this.state === 'loading') state.loading('Loading batch times');
    else state.nothing('No batch times yet', 'They appear here with the first packets.');
  }

  async load() {
    if (this.is_asked) return;
    const { store, api } = this.app;
    this.asked_at = performance.now();
    if (store.hello.has?.history === false) { this.state = 'none'; this.chart.update(); return; }
    if (this.state === 'failed') { this.state = 'loading'; this.chart.update(); }
    this.is_asked = true;
    const metrics = SERIES.map(({ metric }) => metric);
    try {
      const now = Math.floor(store.now());
      const answer = await api('history', { metric: metrics, from: now - HOUR, to: now, step: STEP_SECS });
      this.points = batchPoints(answer, metrics);
      this.state = 'ready';
      this.note.textContent = 'all queues, last hour';
    } catch (error) {
      this.error = error;
      this.state = 'failed';
      this.note.textContent = `older: ${format.visible(error.message, 80)}`;
    } finally {
      this.is_asked = false;
    }
    if (!this.left) this.chart.update();
  }

  tick() {
    if (performance.now() - (this.asked_at ?? -Infinity) >= REFRESH_MS) this.load();
    else if (this.state === 'ready') this.chart.update();
  }

  leave() {
    this.left = true;
    this.chart.destroy();
  }
}
