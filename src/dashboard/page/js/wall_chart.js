// The large chart of the wall: in above the axis, out below, the highest second behind the mean, and lanes for alerts, bursts and loss.

import { SEVERITIES } from './alert_text.js';
import { TimeChart, pointWidth } from './chart.js';
import { h } from './dom.js';
import * as format from './format.js';
import { colour, faded } from './theme.js';

const LANE = 15;
const LANES = ['alerts', 'bursts', 'loss'];
const SEVERITY_TOKENS = { high: 'bad', medium: 'warn-fill', low: 'faint' };
// The hour by seconds is looked at up to this length; a longer time by minutes.
const SECONDS_SPAN_MAX = 4200;

export const usesSeconds = (from, to, now) => to - from <= SECONDS_SPAN_MAX && from >= now - SECONDS_SPAN_MAX;

const points = () => ({ times: [], mean: [], peak: [] });

export class WallChart {
  constructor(app) {
    this.app = app;
    this.in = points();
    this.out = points();
    this.all = points();
    this.chart = new TimeChart(app, {
      label: 'Throughput', lanes: LANE * LANES.length + 4, data: (from, to, pixels) => this.data(from, to, pixels), axis: (value) => (value === 0 ? '0' : format.bits(Math.abs(value)).replace('bit/s', '').replace(/\.0+(?= )|(\.\d*[1-9])0+(?= )/, '$1').trim()),
      range: (min, max) => this.range(min, max), summary: () => this.summary(), tip: (i) => this.tip(i), drawBehind: (u, ctx) => this.drawBehind(u, ctx), draw: (u, ctx, scale) => this.draw(u, ctx, scale), click: (time, y) => this.click(time, y),
      series: [
        { label: 'In, highest second', token: 'in', fill_token: 'in-area', fill: 0.3, words: format.bits }, { label: 'In, mean', token: 'in', fill_token: 'in-area', fill: 0.9, words: format.bits },
        { label: 'Out, highest second', token: 'out', fill_token: 'out-area', fill: 0.3, words: (v) => format.bits(-v) }, { label: 'Out, mean', token: 'out', fill_token: 'out-area', fill: 0.9, words: (v) => format.bits(-v) },
        { label: 'Not told apart, highest second', token: 'c8', fill: 0.3, words: format.bits }, { label: 'Not told apart, mean', token: 'c8', fill: 0.75, words: format.bits },
      ],
    });
    this.root = this.chart.root;
    this.legend = h('span', { class: 'legend' });
    this.relegend(null);
  }

  destroy() { this.chart.destroy(); }
  update() { this.chart.update(); }

  // The words above the chart; without a direction there is one area.
  relegend(is_split) {
    const name = `${is_split} ${this.has_rest}`;
    if (this.legend_name === name) return;
    this.legend_name = name;
    this.is_split = is_split;
    const key = is_split === false ? [h('b', { class: 'is-in', text: '■ all traffic' })] : [h('b', { class: 'is-in', text: '▲ in' }), h('b', { class: 'is-out', text: '▼ out' })];
    if (this.has_rest) key.push(h('b', { class: 'is-rest', text: '■ not told apart' }));
    this.legend.replaceChildren(...key);
  }

  data(from, to, pixels) {
    const { history } = this.app.store;
    const is_seconds = usesSeconds(from, to, this.app.store.now());
    const ring = is_seconds ? history.seconds : history.minutes;
    this.ring = ring;
    this.width = pointWidth((to - from) / ring.step, pixels);
    const take = (name, out) => { history.points(ring, from, to, this.width, name, out); scale(out.mean, 8); scale(out.peak, 8); return out; };
    take('bytes_in', this.in);
    take('bytes_out', this.out);
    take('bytes', this.all);
    const has_split = this.in.mean.some((value) => value !== null);
    this.has_rest = false;
    if (!has_split) {
      this.relegend(this.all.mean.some((value) => value !== null) ? false : null);
      const none = this.all.mean.map(() => null);
      return [this.all.times, this.all.peak, this.all.mean, none, none, none, none];
    }
    // Where only the sum is known.
    const rest = (values) => values.map((value, i) => (this.in.mean[i] === null ? value : null));
    const [rest_peak, rest_mean] = [rest(this.all.peak), rest(this.all.mean)];
    this.has_rest = rest_mean.some((value) => value !== null);
    this.relegend(true);
    scale(this.out.mean, -1);
    scale(this.out.peak, -1);
    return [this.in.times, this.in.peak, this.in.mean, this.out.peak, this.out.mean, rest_peak, rest_mean];
  }

  // A little room above and below; 0 is always there.
  range(min, max) {
    if (min === null || max === null) return [0, 1e6];
    const size = Math.max(max, -min, 1000);
    const top = Math.max(0, max) * 1.06;
    return [this.is_split ? Math.min(0, min * 1.1, -0.08 * size) : 0, Math.max(top, 0.08 * size)];
  }

  peak() {
    let [best, at] = [null, null];
    this.all.peak.forEach((value, i) => { if (value !== null && (best === null || value > best)) [best, at] = [value, this.all.times[i]]; });
    return { best, at };
  }

  hasPeaks() { return this.width > 1 && (this.is_split && !this.has_rest ? this.in : this.all).peak.some((value) => value !== null); }

  summary() {
    const { best, at } = this.peak();
    const known = this.all.mean.filter((value) => value !== null);
    if (known.length === 0) return 'Nothing is known of this time.';
    const top = best === null ? '' : ` ${format.bits(best)} in the highest second at ${format.clock(at)},`;
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const alerts = this.visibleAlerts().length;
    return `From ${format.clock(this.app.time.from)} to ${format.clock(this.app.time.to)}: ${format.bits(mean)} in the mean,${top} ${format.plural(alerts, 'alert')}.`;
  }

  tip(i) {
    const rows = [];
    if (this.is_split && this.in.mean[i] !== null) {
      rows.push(['▲ in', format.bits(this.in.mean[i]), 'in'], ['▼ out', format.bits(this.out.mean[i] === null ? null : -this.out.mean[i]), 'out']);
      if (this.in.peak[i] !== null && this.width > 1) rows.push(['highest second in', format.bits(this.in.peak[i])], ['highest second out', format.bits(this.out.peak[i] === null ? null : -this.out.peak[i])]);
    }
    rows.push(['together', format.bits(this.all.mean[i])]);
    if (this.all.peak[i] !== null && this.width * this.ring.step > 1) rows.push(['highest second', format.bits(this.all.peak[i])]);
    const drops = this.sum('drops', this.all.times[i]);
    if (drops > 0) rows.push(['lost', `${format.exact(drops)} packets`, 'bad']);
    return rows;
  }

  sum(name, from) {
    let total = 0;
    const first = this.ring.slotOf(from);
    for (let slot = first; slot < first + this.width; slot++) { const value = this.ring.get(slot, name); if (value > 0) total += value; }
    return total;
  }

  visibleAlerts() {
    const { from, to } = this.app.time;
    const found = [];
    for (const alert of this.app.store.alerts.values()) if (alert.began <= to && (alert.state === 'open' || alert.ts >= from)) found.push(alert);
    return found;
  }

  click(time, y) {
    if (y > LANE * this.chart.scale()) return;
    const slack = this.app.time.span / 200;
    const alert = this.visibleAlerts().find(({ began, ts, state }) => time >= began - slack && (state === 'open' || time <= ts + slack));
    if (alert) this.app.route.set({ view: 'alerts', alert: alert.id });
  }

  // The time of severe alerts, behind the traffic.
  drawBehind(u, ctx) {
    const { left, top, width, height } = u.bbox;
    const x = (ts) => Math.max(left, Math.min(left + width, u.valToPos(ts, 'x', true)));
    const now = this.app.store.now();
    ctx.save();
    ctx.fillStyle = faded('bad', 0.2);
    for (const alert of this.visibleAlerts()) if (alert.severity === 'high') ctx.fillRect(x(alert.began), top, Math.max(devicePixelRatio, x(alert.state === 'open' ? now : alert.ts) - x(alert.began)), height);
    ctx.restore();
  }

  draw(u, ctx, size) {
    const dpr = devicePixelRatio;
    const { left, width } = u.bbox;
    const lane = LANE * size * dpr;
    const zero = u.valToPos(0, 'y', true);
    const x = (ts) => Math.max(left, Math.min(left + width, u.valToPos(ts, 'x', true)));
    ctx.save();
    ctx.fillStyle = colour('panel');
    if (this.is_split) ctx.fillRect(left, Math.round(zero - dpr / 2), width, Math.max(1, Math.round(1.5 * dpr)));
    this.drawLaneNames(ctx, left, lane, size * dpr);
    const now = this.app.store.now();
    for (const alert of this.visibleAlerts().sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity))) {
      const token = SEVERITY_TOKENS[alert.severity] ?? 'faint';
      const [a, b] = [x(alert.began), x(alert.state === 'open' ? now : alert.ts)];
      const bar = Math.max(4 * dpr, b - a);
      ctx.fillStyle = colour(token);
      const [bar_top, thick] = alert.severity === 'high' ? [0.18, 0.64] : alert.severity === 'medium' ? [0.28, 0.44] : [0.38, 0.24];
      ctx.beginPath();
      ctx.roundRect(Math.min(a, left + width - bar), lane * bar_top, bar, lane * thick, 2 * dpr);
      ctx.fill();
    }
    this.drawBursts(ctx, x, lane, dpr * size);
    this.drawLoss(ctx, x, lane, dpr * size);
    this.drawLinkSpeed(u, ctx, left, width, dpr * size);
    ctx.restore();
  }

  drawLaneNames(ctx, left, lane, px) {
    ctx.font = `500 ${Math.round(10.5 * px)}px Inter, "DejaVu Sans", sans-serif`;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = colour('faint');
    LANES.forEach((name, i) => ctx.fillText(name, left - 8 * px, lane * (i + 0.54)));
  }

  // Bursts that ticks told, and those of alerts, which also go back before the page was opened.
  drawBursts(ctx, x, lane, px) {
    const { from, to } = this.app.time;
    const times = [];
    if (this.ring.step === 1) for (let slot = Math.max(this.ring.slotOf(from), this.ring.head - this.ring.size + 1); slot <= Math.min(this.ring.head, to); slot++) if (this.ring.get(slot, 'bursts') > 0) times.push(slot);
    for (const alert of this.app.store.alerts.values()) if (alert.kind === 'microburst' && alert.began >= from && alert.began <= to) times.push(alert.began);
    ctx.fillStyle = colour('warn-fill');
    const half = 4.2 * px;
    let last = -Infinity;
    for (const at of times.sort((a, b) => a - b)) {
      const middle = x(at);
      if (middle - last < half) continue;
      last = middle;
      ctx.beginPath();
      ctx.moveTo(middle, lane * 1.5 - half); ctx.lineTo(middle + half, lane * 1.5); ctx.lineTo(middle, lane * 1.5 + half); ctx.lineTo(middle - half, lane * 1.5);
      ctx.fill();
    }
  }

  drawLoss(ctx, x, lane, px) {
    ctx.fillStyle = colour('bad');
    this.all.times.forEach((time) => {
      if (!(this.sum('drops', time) > 0)) return;
      const [a, b] = [x(time), x(time + this.width * this.ring.step)];
      ctx.fillRect(a, lane * 2.2, Math.max(2 * px, b - a), lane * 0.6);
    });
  }

  drawLinkSpeed(u, ctx, left, width, px) {
    const speed = this.app.store.hello?.source.link_speed_bps;
    if (!speed || speed > u.scales.y.max) return;
    const y = u.valToPos(speed, 'y', true);
    ctx.strokeStyle = colour('line-strong');
    ctx.setLineDash([5 * px, 5 * px]);
    ctx.lineWidth = px;
    ctx.beginPath();
    ctx.moveTo(left, y); ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.fillStyle = colour('faint');
    ctx.textAlign = 'left';
    ctx.fillText('link speed', left + 6 * px, y + 9 * px);
  }
}

function scale(values, factor) {
  for (let i = 0; i < values.length; i++) if (values[i] !== null) values[i] *= factor;
}
