// The system: workers and their queues, where packets went, outputs, what the doctor finds, the configuration in force, the server itself.

import { copyButton } from '../alert_detail.js';
import { BatchChart } from '../batch_chart.js';
import { foreign, h, list, setAttr, setText } from '../dom.js';
import * as format from '../format.js';
import { PanelState } from '../panel_state.js';
import { isLoss, lossName, lossRates, ofPackets, verdict } from '../ledger_text.js';

const FINDINGS = { error: ['high', 'fault'], warning: ['medium', 'warning'], info: ['low', 'note'], ok: ['ok', 'fine'] };

const table = (columns) => {
  const body = h('tbody');
  return { body, element: h('div', { class: 'scroll-x', tabindex: '0', role: 'region' }, h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, columns.map(([text, is_number]) => h('th', { scope: 'col', class: is_number ? 'num' : null, text })))), body)) };
};
// `names`: of the columns, for a screen on which each row stands as a card.
const row = (kinds, names = []) => h('tr', {}, kinds.map((kind, i) => (kind === 'meter' ? h('td', { class: 'meter-cell', 'data-name': names[i] }, h('span', { class: 'meter' }, h('i')), h('span', { class: 'num' })) : h('td', { class: kind, 'data-name': names[i] }))));
const panel = (name, title, aside, ...children) => h('section', { class: `panel system-${name}`, 'aria-label': title }, h('h2', { class: 'heading' }, h('span', { text: title }), aside && h('span', { class: 'aside' }, aside)), ...children);

// A finding as the interface tells it, or as `netscope doctor --json` does.
const MARKS = { trouble: 'error', note: 'info', ok: 'ok' };
const asFinding = ({ severity, title, detail, cure, mark, what }) => ({ severity: severity ?? MARKS[mark] ?? 'info', title: title ?? what ?? '', detail: detail ?? '', cure: cure ?? null });

// Columns of the workers' table: text, and whether it has numbers.
const WORKERS = [['Queue'], ['Interface'], ['Packets/s', 1], ['Bit/s', 1], ['Load'], ['Ring'], ['Batch p50', 1], ['Batch p99', 1], ['Longest', 1], ['Dropped', 1], ['State']];

export const view = {
  name: 'system', title: 'System', uses_time: false, needs_tick: true,
  mount(root, app) {
    const system = new System(root, app);
    return { frame: ({ tick }) => system.update(tick), leave: () => system.leave() };
  },
};

class System {
  constructor(root, app) {
    this.app = app;
    this.workers = table(WORKERS);
    this.ledger = table([['Where'], ['Packets', 1], ['Share', 1], ['Counted as received']]);
    this.ledger_note = h('p', { class: 'ledger-line' });
    this.outputs = table([['Output'], ['State'], ['Lost', 1]]);
    this.no_outputs = new PanelState('is-small');
    this.batches = new BatchChart(app);
    [this.facts_state, this.doctor_state, this.config_state] = [new PanelState(), new PanelState(), new PanelState()];
    this.facts = h('dl', { class: 'facts-list' });
    this.live = ['Memory', 'CPU', 'Flows', 'Frames received'].map((name) => ({ name, value: h('dd') }));
    this.doctor = h('ul', { class: 'findings' });
    this.doctor_note = h('span');
    this.again = h('button', { class: 'link-button', type: 'button', text: 'look again', on: { click: () => this.loadDoctor() } });
    this.config = h('pre', { class: 'config mono', tabindex: '0', 'aria-label': 'Configuration' });
    this.config_copy = h('span');
    for (const [part, name] of [[this.workers, 'Workers'], [this.ledger, 'Ledger'], [this.outputs, 'Outputs']]) part.element.setAttribute('aria-label', `${name}, table`);
    root.append(h('h1', { class: 'sr', text: 'System' }),
      panel('workers', 'Workers and queues', 'latest tick; batch times and drops since the start', this.workers.element), panel('batches', 'Batch times', this.batches.aside, this.batches.element),
      panel('doctor', 'Doctor', h('span', {}, this.doctor_note, ' ', this.again), this.doctor_state.element, this.doctor), panel('ledger', 'Where packets went', 'since the start', this.ledger_note, this.ledger.element),
      panel('outputs', 'Outputs', null, this.outputs.element, this.no_outputs.element),
      panel('server', 'Server', null, h('dl', { class: 'facts-list' }, this.live.map(({ name, value }) => h('div', {}, h('dt', { text: name }), value))), this.facts_state.element, this.facts),
      panel('config', 'Configuration in force', this.config_copy, this.config_state.element, this.config));
    this.stops = [app.store.on('hello', () => this.load())];
    if (app.store.hello) this.load();
    if (app.store.tick) this.update(app.store.tick);
  }

  leave() { this.stops.forEach((stop) => stop()); this.left = true; this.batches.leave(); }

  load() { this.loadStatus(); this.loadConfig(); this.loadDoctor(); this.batches.load(); }

  async loadStatus() {
    const { hello } = this.app.store;
    const { source, sampling } = hello;
    if (this.facts.children.length === 0) this.facts_state.loading('Loading the status');
    let limits = {};
    try {
      ({ limits } = await this.app.api('status'));
      this.facts_state.ready();
    } catch (error) { this.facts_state.failed('The limits cannot be loaded', error, () => this.loadStatus()); }
    if (this.left) return;
    const facts = [
      ['Version', hello.version], ['Host', hello.host], ['Started', `${format.when(hello.started, this.app.store.now())}`], ['Boot ID', hello.boot_id], ['Source', `${source.kind} ${source.interfaces?.join(', ') || source.name}`], ['Captured by', source.backend],
      ['Link speed', source.link_speed_bps ? format.bits(source.link_speed_bps) : 'not known'], ['Tick', format.ms(hello.tick_ms)], ['Your role', hello.role],
      ['Sampled packets', sampling ? `1 of ${format.exact(sampling.sample_rate)}, ${sampling.payload_bytes} B each, ${format.exact(sampling.packet_buffer)} kept` : 'none'],
      ...Object.entries(limits ?? {}).map(([name, value]) => [`Limit: ${name.replaceAll('_', ' ')}`, typeof value === 'number' ? format.exact(value) : JSON.stringify(value)]),
    ];
    this.facts.replaceChildren(...facts.map(([name, value]) => h('div', {}, h('dt', { text: format.visible(name, 60) }), h('dd', {}, foreign(value, 120)))));
  }

  async loadConfig() {
    if (!this.config.textContent) this.config_state.loading('Loading the configuration');
    this.config.hidden = !this.config.textContent;
    try {
      const { toml } = await this.app.api('config');
      if (this.left) return;
      this.config.hidden = !toml;
      if (toml) this.config_state.ready(); else this.config_state.nothing('All is as by default', 'The configuration has no line of its own.');
      setText(this.config, toml);
      this.config_copy.replaceChildren(copyButton(this.app, toml, 'Configuration'));
    } catch (error) {
      if (this.left) return;
      this.config.hidden = true;
      setText(this.config, '');
      this.config_copy.replaceChildren();
      this.config_state.failed('The configuration cannot be loaded', error, () => this.loadConfig());
    }
  }

  async loadDoctor() {
    setText(this.doctor_note, 'looking');
    this.again.disabled = true;
    if (this.doctor.children.length === 0) this.doctor_state.loading('The doctor looks');
    try {
      const { findings: told, why } = await this.app.api('doctor', {}, { timeout_ms: 60000 });
      if (this.left) return;
      const findings = told.map(asFinding);
      if (findings.length > 0) this.doctor_state.ready(); else this.doctor_state.nothing(why ? 'The doctor cannot look' : '✓ Nothing found', why ?? 'Nothing on this machine hinders the capture.');
      const rank = ['error', 'warning', 'info', 'ok'];
      const sorted = [...findings].sort((a, b) => rank.indexOf(a.severity) - rank.indexOf(b.severity));
      setText(this.doctor_note, why && findings.length ? why : findings.length ? format.plural(findings.filter(({ severity }) => severity === 'error' || severity === 'warning').length, 'finding') : '');
      this.doctor.replaceChildren(...sorted.map(({ severity, title, detail, cure }) => {
        const [shape, word] = FINDINGS[severity] ?? ['low', severity];
        return h('li', {}, h('span', { class: 'severity', 'data-severity': shape, text: word }), h('div', {}, h('strong', {}, foreign(title, 200)), detail && h('p', { class: 'dim' }, foreign(detail, 600)), cure && h('p', { class: 'cure' }, h('code', { class: 'mono' }, foreign(cure, 400)), copyButton(this.app, cure, 'Cure'))));
      }));
    } catch (error) {
      if (this.left) return;
      setText(this.doctor_note, '');
      this.doctor.replaceChildren();
      this.doctor_state.failed('The doctor cannot be asked', error, () => this.loadDoctor());
    } finally { this.again.disabled = false; }
  }

  update(tick) {
    this.updateWorkers(tick);
    this.updateLedger(tick);
    this.updateOutputs(tick);
    this.batches.tick();
    const { store } = this.app;
    const texts = [format.bytes(tick.memory_bytes), format.percent(tick.cpu_share), format.exact(tick.active_flows), format.exact(store.frames)];
    this.live.forEach(({ value }, i) => setText(value, texts[i]));
  }

  updateWorkers(tick) {
    const per = 1000 / tick.interval_ms;
    const kinds = ['', '', 'num', 'num', 'meter', 'meter', 'num', 'num', 'num', 'num', ''];
    list(this.workers.body, tick.queues, (q) => `${q.interface} ${q.queue}`, () => row(kinds, WORKERS.map(([name]) => name)), (element, q) => {
      const cells = element.children;
      const { ring, batch } = q;
      const fill = ring && ring.size > 0 ? ring.used / ring.size : null;
      const meter = (cell, share, text) => {
        cell.firstChild.firstChild.style.setProperty('width', `${(Math.min(1, share ?? 0) * 100).toFixed(1)}%`);
        setAttr(cell.firstChild, 'data-level', share >= 0.9 ? 'full' : share >= 0.7 ? 'hot' : null);
        setText(cell.lastChild, text);
      };
      setText(cells[0], String(q.queue));
      setText(cells[1], format.visible(q.interface, 40));
      setText(cells[2], format.count(q.packets * per));
      setText(cells[3], format.count(q.bytes * 8 * per));
      meter(cells[4], q.load, format.percent(q.load));
      meter(cells[5], fill, ring ? `${format.exact(ring.used)} / ${format.exact(ring.size)} ${ring.unit}` : format.NONE);
      setText(cells[6], format.us(batch?.count ? batch.p50_us : null));
      setText(cells[7], format.us(batch?.count ? batch.p99_us : null));
      setText(cells[8], format.us(batch?.count ? batch.max_us : null));
      setText(cells[9], format.exact(q.kernel_drops_total));
      setAttr(cells[9], 'data-bad', q.kernel_drops_total > 0);
      setText(cells[10], q.silent_since === null ? '✓ works' : `▲ silent since ${format.when(q.silent_since, tick.ts)}`);
      setAttr(cells[10], 'data-bad', q.silent_since !== null);
    });
  }

  updateLedger(tick) {
    const { ledger } = tick;
    const { kind, text, more } = verdict(ledger, tick.ts, this.app.store.begin(), lossRates(tick));
    setText(this.ledger_note, `${kind === 'bad' ? '▲' : '✓'} ${text}${more ? ` · ${more}` : ''}`);
    setAttr(this.ledger_note, 'data-kind', kind);
    const rows = [
      { name: 'received', text: 'Received', packets: ledger.received, counted: '' }, { name: 'processed', text: 'Processed', packets: ledger.processed, counted: 'yes' },
      ...ledger.losses.map((loss) => ({ name: loss.name, text: `${isLoss(loss) ? 'Lost' : 'Left out'}: ${lossName(loss)}`, packets: loss.packets, unit: ofPackets(loss) ? null : loss.unit, counted: ofPackets(loss) ? (loss.of_received ? 'yes' : 'no, before') : 'no packets', is_loss: isLoss(loss) })),
      ...(ledger.waiting === undefined ? [] : [{ name: 'waiting', text: 'Waiting', packets: ledger.waiting, counted: 'yes' }]), ...(ledger.filtered === undefined ? [] : [{ name: 'filtered', text: 'Left out: filtered', packets: ledger.filtered, counted: 'no, before' }]),
      { name: 'unaccounted', text: 'Unaccounted for', packets: ledger.unaccounted, counted: '', is_loss: true },
    ];
    list(this.ledger.body, rows, ({ name, text }) => `${name} ${text}`, () => row(['', 'num', 'num', '']), (element, item) => {
      setText(element.children[0], item.text);
      setText(element.children[1], item.unit ? `${format.exact(item.packets)} ${format.visible(item.unit, 20)}` : format.exact(item.packets));
      setText(element.children[2], ledger.received > 0 && !item.unit ? format.percent(item.packets / ledger.received) : format.NONE);
      setText(element.children[3], item.counted);
      setAttr(element, 'data-bad', Boolean(item.is_loss && item.packets !== 0));
    });
  }

  updateOutputs(tick) {
    if (tick.outputs.length > 0) this.no_outputs.ready(); else this.no_outputs.nothing('No output is set', 'Nothing is written beside this page.');
    this.outputs.element.hidden = tick.outputs.length === 0;
    list(this.outputs.body, tick.outputs, ({ name }) => name, ({ name }) => h('tr', {}, h('td', {}, foreign(name, 80)), h('td'), h('td', { class: 'num' })), (element, output) => {
      const is_bad = output.lost > 0 || output.state !== 'keeps up';
      setText(element.children[1], `${is_bad ? '▲' : '✓'} ${format.visible(output.state, 60)}`);
      setText(element.children[2], format.exact(output.lost));
      setAttr(element, 'data-bad', is_bad);
    });
  }
}
