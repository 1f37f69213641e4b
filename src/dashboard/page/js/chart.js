// A chart over time: uPlot, and around it what a chart owes everybody: a summary in words, a table of its numbers, the keyboard, gaps where nothing is known.
//
// A selection by dragging sets the time of the whole page; all charts share one cursor. A chart is destroyed when its view is left.

import uPlot from '../vendor/uplot/uPlot.esm.js';
import { h, setAttr, setText } from './dom.js';
import { clock, NONE, shortClock, when } from './format.js';
import { PanelState } from './panel_state.js';
import { colour, faded, on as onTheme } from './theme.js';

const WIDTHS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300];
const TABLE_ROWS = 60;
const SUMMARY_MS = 10000;
const LEAST_POINTS = 3;
// On a screen of a wall's size (wall.css) letters are larger, so that they are read from five metres.
const WALL = '(min-width: 1800px) and (min-height: 960px)';
const WALL_LETTERS = 1.35;
const SYNC = uPlot.sync('time');

// Slots per point, so that points are about one and a half pixels wide and begin at multiples of their width.
export function pointWidth(span_slots, pixels) {
  const least = span_slots / Math.max(50, pixels / 1.5);
  return WIDTHS.find((width) => width >= least) ?? 600;
}

// `options`:
//   label         what it shows, for the summary
//   series        [{ label, token, fill (opacity), width, alpha, in_table, words(value) }]
//   data(from, to, pixels) -> [times, ...values]; null is a gap. Arrays may be the same each time.
//   axis(value)   text of a tick; null leaves the axes out
//   range(min, max) -> [min, max] of the values
//   lanes         heights in px that `draw` uses above the plot
//   draw(u, ctx, scale)  draws more, after the series; drawBehind(u, ctx) before them
//   summary(data) -> text
//   tip(index, data) -> [[label, text, token]]
//   click(time, y_in_lanes) on the lanes
//   none(state)   says why there is nothing to draw, into a PanelState; by default what the page's history knows
export class TimeChart {
  constructor(app, options) {
    this.app = app;
    this.options = options;
    this.plot = h('div', { class: 'chart-plot', role: 'slider', tabindex: '0', 'aria-label': options.label, 'aria-orientation': 'horizontal', 'aria-valuemin': '0', 'aria-valuemax': '1', 'aria-valuenow': '1' });
    this.table = h('div', { class: 'chart-table', hidden: true, tabindex: '0', role: 'region', 'aria-label': `${options.label}, as a table` });
    this.tip = h('div', { class: 'chart-tip', hidden: true });
    this.empty = new PanelState('chart-empty');
    this.root = h('div', { class: 'chart' }, this.plot, this.table);
    this.plot.append(this.empty.element, this.tip);
    this.toggle = h('button', { class: 'link-button', type: 'button', 'aria-expanded': 'false', 'aria-label': `${options.label}: show the numbers as a table`, text: 'table', on: { click: () => this.showTable(this.table.hidden) } });
    this.plot.addEventListener('keydown', (event) => this.key(event));
    this.plot.addEventListener('blur', () => { if (this.by_key) { this.by_key = false; this.uplot?.setCursor({ left: -10, top: -10 }); } });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.plot);
    this.stopTheme = onTheme(() => { this.destroyPlot(); this.update(); });
    this.summarized = -Infinity;
  }

  destroy() {
    this.observer.disconnect();
    this.stopTheme();
    this.destroyPlot();
    this.root.remove();
  }

  destroyPlot() {
    this.uplot?.destroy();
    this.uplot = null;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (width < 20 || height < 20) { this.destroyPlot(); return; }
    if (this.uplot && (this.uplot.width !== width || this.uplot.height !== height)) this.uplot.setSize({ width, height });
    this.update();
  }

  // Takes the data and draws, once.
  update() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    const { from, to } = this.app.time;
    const data = this.options.data(from, to, Math.max(100, width));
    this.data = data;
    this.summarize();
    if (!this.table.hidden) { this.fillTable(); return; }
    if (width < 20 || height < 20) return;
    const { history_state } = this.app.store;
    // The seconds that ticks told since the page was opened are no hour.
    const least = !this.options.none && (history_state === 'loading' || history_state === 'failed') ? LEAST_POINTS : 1;
    if (Math.max(...data.slice(1).map((values) => values.filter((value) => value !== null).length)) >= least) this.empty.ready();
    else (this.options.none ?? ((state) => this.sayNone(state)))(this.empty);
    if (!this.uplot) this.make(width, height, data);
    this.uplot.batch(() => {
      this.uplot.setData(data, false);
      this.uplot.setScale('x', { min: from, max: to });
    });
    if (!this.tip.hidden) this.showTip(this.uplot);
  }

  // Why there is nothing to draw.
  sayNone(state) {
    const { store, time } = this.app;
    if (store.history_state === 'loading') state.loading('Loading');
    else if (store.history_state === 'failed') state.failed('The history cannot be loaded', store.history_error, () => store.loadHistory());
    else state.nothing('Nothing is known of this time', store.history_state === 'none' ? 'The server keeps no history.' : '', time.live ? null : { text: 'Go live', run: () => time.set({ live: true }) });
  }

  make(width, height, data) {
    const { options } = this;
    const grid = colour('line');
    const ink = colour('faint');
    const font = `500 ${Math.round(11.5 * this.scale())}px Inter, "DejaVu Sans", sans-serif`;
    const has_axes = options.axis !== null;
    const lanes = (options.lanes ?? 0) * this.scale();
    const plot = {
      width, height, padding: has_axes ? [lanes + 6, 22 * this.scale(), 0, 0] : [2, 0, 2, 0], legend: { show: false }, pxAlign: 1,
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 }, sync: { key: SYNC.key, scales: ['x', null] }, focus: { prox: -1 } },
      scales: { x: { time: true, auto: false }, y: { auto: true, range: (u, min, max) => options.range(min, max) } },
      axes: has_axes ? [
        { stroke: ink, font, grid: { show: false }, ticks: { show: false }, gap: 8, size: 30 * this.scale(), space: 90 * this.scale(), values: (u, splits) => splits.map((ts) => (splits[1] - splits[0] < 60 ? clock(ts) : shortClock(ts))) },
        { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false }, gap: 8, size: 54 * this.scale(), space: 34 * this.scale(), values: (u, splits) => splits.map((value) => options.axis(value)) },
      ] : [{ show: false }, { show: false }],
      series: [{}, ...options.series.map((series) => ({
        label: series.label, stroke: series.width ? colour(series.token) : null, width: series.width ?? 0, fill: series.fill ? faded(series.fill_token ?? series.token, series.fill) : undefined, spanGaps: false, points: { show: false },
        fillTo: 0,
      }))],
      hooks: {
        setSelect: [(u) => this.select(u)], setCursor: [(u) => this.showTip(u)],
        drawClear: options.drawBehind ? [(u) => options.drawBehind(u, u.ctx)] : [],
        draw: options.draw ? [(u) => options.draw(u, u.ctx, this.scale())] : [],
        ready: [(u) => { if (options.click) u.root.addEventListener('click', (event) => this.click(u, event)); }],
      },
    };
    this.uplot = new uPlot(plot, data, this.plot);
  }

  // Letters of a chart grow with those of the page.
  scale() {
    const size = (name) => parseFloat(getComputedStyle(name).fontSize);
    return size(document.documentElement) / 16 * (this.root.closest('.view-wall') && matchMedia(WALL).matches ? WALL_LETTERS : 1);
  }

  select(u) {
    const { left, width } = u.select;
    if (width < 4) return;
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (!this.plot.matches(':hover')) return; // the charts that only follow
    this.app.time.set({ from: u.posToVal(left, 'x'), to: u.posToVal(left + width, 'x') });
  }

  click(u, event) {
    const box = this.plot.getBoundingClientRect();
    const y = event.clientY - box.top;
    if (y < u.bbox.top / devicePixelRatio) this.options.click(u.posToVal(event.clientX - box.left - u.bbox.left / devicePixelRatio, 'x'), y);
  }

  showTip(u) {
    const { idx, left } = u.cursor;
    const is_over = left >= 0 && idx !== null && idx !== undefined && this.data[0][idx] !== undefined;
    const is_own = is_over && (this.plot.matches(':hover') || this.by_key);
    this.tip.hidden = !is_own;
    if (!is_own) return;
    const rows = this.options.tip(idx, this.data);
    this.tip.replaceChildren(h('b', { text: when(this.data[0][idx], this.app.store.now()) }), ...rows.flatMap(([label, text, token]) => [
      h('span', { class: 'dim', text: label, style: token ? { color: `var(--${token})` } : {} }), h('span', { class: 'num', text })]));
    const x = u.bbox.left / devicePixelRatio + left;
    const is_right = x > this.plot.clientWidth * 0.6;
    this.tip.style.setProperty('transform', `translate(${Math.round(is_right ? x - this.tip.offsetWidth - 14 : x + 14)}px, ${Math.round(u.bbox.top / devicePixelRatio + 8)}px)`);
  }

  // Arrows move the cursor and say the values, Enter looks closer, minus looks from further away.
  key(event) {
    const u = this.uplot;
    if (!u || this.data[0].length === 0) return;
    const last = this.data[0].length - 1;
    const index = u.cursor.idx ?? last;
    const moves = { ArrowLeft: index - (event.shiftKey ? 10 : 1), ArrowRight: index + (event.shiftKey ? 10 : 1), Home: 0, End: last };
    const { time } = this.app;
    if (event.key in moves) {
      const next = Math.max(0, Math.min(last, moves[event.key]));
      this.by_key = true;
      u.setCursor({ left: u.valToPos(this.data[0][next], 'x'), top: 10 });
      setAttr(this.plot, 'aria-valuemax', last);
      setAttr(this.plot, 'aria-valuenow', next);
      setAttr(this.plot, 'aria-valuetext', `${clock(this.data[0][next])}: ${this.options.tip(next, this.data).map(([label, text]) => `${label} ${text}`).join(', ')}`);
    } else if (event.key === 'Enter') {
      const middle = this.data[0][index];
      time.set({ from: middle - time.span / 8, to: middle + time.span / 8 });
    } else if (event.key === '-') {
      time.set({ from: time.from - time.span / 2, to: Math.min(time.to + time.span / 2, this.app.store.now()) });
    } else return;
    event.preventDefault();
  }

  summarize() {
    if (performance.now() - this.summarized < SUMMARY_MS) return;
    this.summarized = performance.now();
    const text = this.options.summary(this.data);
    setAttr(this.plot, 'aria-label', `${this.options.label}. ${text} Arrow keys move the cursor, Enter looks closer, minus further away.`);
    if (!this.plot.hasAttribute('aria-valuetext')) setAttr(this.plot, 'aria-valuetext', text);
  }

  showTable(is_shown) {
    this.table.hidden = !is_shown;
    this.plot.hidden = is_shown;
    setText(this.toggle, is_shown ? 'chart' : 'table');
    setAttr(this.toggle, 'aria-expanded', String(is_shown));
    if (is_shown) { this.destroyPlot(); this.fillTable(); } else this.resize();
  }

  // The latest rows, at most TABLE_ROWS, evenly out of all.
  fillTable() {
    const [times] = this.data;
    const columns = this.options.series.map((series, i) => ({ ...series, values: this.data[i + 1] })).filter((column) => column.in_table !== false);
    const stride = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
    const rows = [];
    for (let i = times.length - 1; i >= 0; i -= stride) {
      rows.push(h('tr', {}, h('th', { scope: 'row', text: when(times[i], this.app.store.now()) }), columns.map(({ values, words }) => h('td', { class: 'num', text: values[i] === null ? NONE : words(values[i]) }))));
    }
    this.table.replaceChildren(h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col', text: 'Time' }), columns.map(({ label }) => h('th', { class: 'num', scope: 'col', text: label })))), h('tbody', {}, rows)));
  }
}
