// The wall: how much, is anything lost, is anything wrong, who is it. Readable from five metres.

import { h, setText } from '../dom.js';
import * as format from '../format.js';
import { TimeChart, pointWidth } from '../chart.js';
import { SPANS } from '../time.js';
import { usesSeconds, WallChart } from '../wall_chart.js';
import { WallGraph } from '../wall_graph.js';
import { WallPager } from '../wall_pager.js';
import { AlertsPanel, LedgerPanel, MixPanel, QueuesPanel, TalkersPanel } from '../wall_panels.js';

// The day by minutes is asked for again when it is so old.
const MINUTES_OLD_SECS = 90;
// Alerts on the page that has nothing else.
const ALERTS_OF_PAGE = 12;

// A big number with its unit, a line of facts below it, and the course of it.
function figure(app, name, column, parts) {
  const value = h('b');
  const unit = h('small');
  const note = h('p', { class: 'figure-text' });
  const out = { times: [], mean: [], peak: [] };
  const chart = column && new TimeChart(app, {
    label: name, axis: null, range: (min, max) => [0, Math.max(1, (max ?? 1) * 1.08)],
    series: [{ label: name, token: 'accent', width: 1.25, fill: 0.14, words: (v) => joined(parts(v)) }],
    data: (from, to, pixels) => {
      const { store } = app;
      const ring = usesSeconds(from, to, store.now()) ? store.history.seconds : store.history.minutes;
      store.history.points(ring, from, to, pointWidth((to - from) / ring.step, pixels), column, out);
      // How many are alive is no rate.
      if (column === 'flows_active') for (let i = 0; i < out.mean.length; i++) if (out.mean[i] !== null) out.mean[i] *= ring.step;
      return [out.times, out.mean];
    },
    summary: ([, values]) => { const known = values.filter((v) => v !== null); return known.length ? `Between ${joined(parts(Math.min(...known)))} and ${joined(parts(Math.max(...known)))}.` : 'Nothing is known of this time.'; },
    tip: (i, [, values]) => [[name, joined(parts(values[i]))]],
  });
  const element = h('div', { class: 'figure' }, h('h2', { class: 'figure-name', text: name }), h('p', { class: 'figure-value' }, value, unit), h('div', { class: 'figure-note' }, note, chart && chart.toggle), chart && chart.root);
  const show = (number) => { const made = parts(number); setText(value, made.value); setText(unit, ` ${made.unit}`); };
  const mean = () => { const known = out.mean.filter((v) => v !== null); return known.length ? known.reduce((sum, v) => sum + v, 0) / known.length : null; };
  return { element, note, show, chart, mean };
}

const joined = ({ value, unit }) => `${value} ${unit}`.trim();
const flowParts = (value) => { const { value: text, unit } = format.countParts(value); return { value: text, unit: unit ? `${unit} flows` : 'flows' }; };

export const view = {
  name: 'wall', title: 'Wall', needs_tick: true,
  mount(root, app) {
    const wall = new WallView(root, app);
    return { frame: (message) => wall.frame(message), route: () => wall.pager.apply(), leave: () => wall.leave() };
  },
};

class WallView {
  constructor(root, app) {
    this.app = app;
    this.hero = new WallChart(app);
    this.throughput = figure(app, 'Throughput', null, format.bitsParts);
    this.packets = figure(app, 'Packets', 'packets', format.packetsParts);
    this.flows = figure(app, 'Flows', 'flows_active', flowParts);
    this.note_in = h('span', { class: 'is-in' });
    this.note_out = h('span', { class: 'is-out' });
    this.throughput.note.append(this.note_in, this.note_out);
    this.side = { value: h('b'), text: h('span') };
    this.throughput.element.append(h('p', { class: 'figure-side' }, this.side.value, this.side.text));
    this.ledger = new LedgerPanel(app);
    this.talkers = new TalkersPanel(app);
    this.mix = new MixPanel(app);
    this.queues = new QueuesPanel(app);
    this.alerts = new AlertsPanel(app);
    this.note = h('span', { class: 'aside' });
    this.graph = new WallGraph(app);
    this.pager = new WallPager(app, (page) => this.showPage(root, page));
    root.append(
      h('h1', { class: 'sr', text: 'Wall' }), this.pager.element,
      h('section', { class: 'panel hero', 'aria-label': 'Throughput over time' }, h('h2', { class: 'heading' }, this.hero.legend, this.note, this.hero.chart.toggle), this.hero.root),
      h('section', { class: 'panel figures-panel', 'aria-label': 'Now' }, this.throughput.element, this.packets.element, this.flows.element),
      this.ledger.element, this.talkers.element, this.graph.element, this.mix.element, this.queues.element, this.alerts.element,
    );
    this.stops = [app.store.on('history', () => this.draw()), app.time.on(() => this.changeTime()), app.store.on('restart', () => this.changeTime())];
    this.started = true;
    this.changeTime();
    if (app.store.tick) this.update(app.store.tick);
  }

  leave() {
    this.stops.forEach((stop) => stop());
    this.left = true;
    this.pager.leave();
    this.graph.leave();
    this.hero.destroy();
    for (const { chart } of [this.packets, this.flows]) chart.destroy();
  }

  // Panels of a page are shown by its styles; what is not seen asks for nothing.
  showPage(root, page) {
    root.dataset.page = page;
    this.graph.show(page === 'talkers');
    this.alerts.setMost(page === 'alerts' ? ALERTS_OF_PAGE : undefined);
    if (this.app.store.tick && this.started) this.update(this.app.store.tick);
  }

  frame({ tick }) {
    const { time, store } = this.app;
    if (!usesSeconds(time.from, time.to, store.now()) && store.history_state === 'ready' && store.history.minutes.head * 60 < store.now() - MINUTES_OLD_SECS) store.loadMinutes();
    this.update(tick);
    if (time.live) this.draw();
  }

  draw() {
    this.hero.update();
    this.packets.chart.update();
    this.flows.chart.update();
    this.describe();
  }

  describe() {
    const { ring, width } = this.hero;
    const { time } = this.app;
    const step = ring.step * width;
    const length = time.live ? `last ${SPANS.find(({ secs }) => secs === time.span)?.label ?? format.duration(time.span)}` : `${format.when(time.from, this.app.store.now())} – ${format.clock(time.to)}`;
    const points = step > 1 ? `mean of ${format.duration(step)}${this.hero.hasPeaks() ? ', light: highest second' : ''}` : 'by the second';
    setText(this.note, `${length} · ${points}`);
    const { best, at } = this.hero.peak();
    setText(this.side.value, best === null ? '' : format.bits(best));
    setText(this.side.text, best === null ? '' : `highest second, ${format.when(at, this.app.store.now())}`);
  }

  // A time that stands still has its own talkers and services, when the server knows them.
  async changeTime() {
    const { time, store, api } = this.app;
    this.draw();
    if (store.hello && !usesSeconds(time.from, time.to, store.now())) store.loadMinutes();
    if (time.live || !store.hello) { this.fixed = null; if (store.tick) this.update(store.tick); return; }
    const asked = (this.fixed = { from: time.from, to: time.to });
    const note = `${format.clock(asked.from)} – ${format.clock(asked.to)}`;
    try {
      const [hosts, services] = await Promise.all([api('top', { by: 'host', ...asked, limit: 10 }), api('top', { by: 'service', ...asked, limit: 8 })]);
      if (this.left || this.fixed !== asked) return;
      this.talkers.showTop(hosts.rows, hosts.whole ? note : `${note}, not whole`);
      this.mix.showTop(services.rows, services.total, note);
    } catch (error) {
      if (!this.left && this.fixed === asked) this.app.toast(`Top talkers of this time: ${error.message}`);
    }
    if (!this.left && store.tick) this.update(store.tick);
  }

  update(tick) {
    const per = 1000 / tick.interval_ms;
    const { direction } = tick;
    if (this.fixed) this.updateFixed();
    else {
      this.throughput.show(tick.bytes * 8 * per);
      this.packets.show(tick.packets * per);
      this.flows.show(tick.active_flows);
      setText(this.note_in, direction ? `▲ in ${format.bits(direction.in.bytes * 8 * per)}` : 'in and out are not told apart');
      setText(this.note_out, direction ? `▼ out ${format.bits(direction.out.bytes * 8 * per)}` : '');
      const burst = (tick.microbursts ?? []).reduce((max, b) => Math.max(max, b.share_of_link ?? 0), 0);
      const size = tick.packets > 0 ? `${format.bytes(tick.bytes / tick.packets)} each` : '';
      setText(this.packets.note, burst > 0 ? `◆ burst at ${format.percent(burst)} of the link` : size);
      setText(this.flows.note, `${format.count(tick.flows.opened * per)} new/s · ${format.percent(tick.retransmissions?.share)} retransmitted`);
      this.talkers.update(tick);
      this.mix.update(tick);
    }
    this.ledger.update(tick);
    this.queues.update(tick);
    this.alerts.update(tick);
    this.graph.tick();
  }

  // Means of the time that is looked at.
  updateFixed() {
    const known = this.hero.all.mean.filter((value) => value !== null);
    this.throughput.show(known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null);
    setText(this.note_in, 'mean of this time');
    setText(this.note_out, '');
    this.packets.show(this.packets.mean());
    this.flows.show(this.flows.mean());
    for (const { note } of [this.packets, this.flows]) setText(note, 'mean of this time');
  }
}
