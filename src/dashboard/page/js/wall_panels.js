// The panels of the wall: each is made once and updated in place from ticks.

import { foreign, h, list, setAttr, setText } from './dom.js';
import * as format from './format.js';
import * as words from './alert_text.js';
import { PanelState } from './panel_state.js';
import { isLoss, lossName, lossRates, ofPackets, verdict } from './ledger_text.js';

const QUEUES_MAX = 16;
const TALKERS_MAX = 10;
const SERVICES_MAX = 8;
const ALERTS_MAX = 6;
const HOT = 0.7;
const FULL = 0.9;

const heading = (text, aside = '') => {
  const [name, note] = [h('span', { text }), h('span', { class: 'aside', text: aside })];
  return { element: h('h2', { class: 'heading' }, name, note), name, note };
};
const width = (element, share) => element.style.setProperty('width', `${(Math.max(0, Math.min(1, share || 0)) * 100).toFixed(2)}%`);

// Received = processed + each loss, and what that means in a sentence.
export class LedgerPanel {
  constructor(app) {
    this.app = app;
    this.sum = h('div', { class: 'ledger-sum' });
    this.text = h('strong', {});
    this.more = h('span', { class: 'ledger-more' });
    this.element = h('section', { class: 'panel ledger', 'aria-label': 'Where packets went' }, this.sum, h('div', { class: 'ledger-verdict' }, this.text, this.more));
  }

  update(tick) {
    const { ledger } = tick;
    const lost = ledger.losses.filter(ofPackets);
    // The kernel and the card are always named; others when they lost something.
    const shown = lost.filter(({ name, packets }) => packets > 0 || name === 'kernel_drops' || name === 'interface_drops' || lost.length <= 5);
    const zeros = lost.length - shown.length;
    const term = (loss, op, after = '') => ({ key: loss.name, op, value: loss.packets, name: `${lossName(loss)}${after}`, is_loss: isLoss(loss) });
    const terms = [
      { key: 'received', op: '', value: ledger.received, name: 'received' }, { key: 'processed', op: '=', value: ledger.processed, name: 'processed' },
      ...(ledger.waiting > 0 ? [{ key: 'waiting', op: '+', value: ledger.waiting, name: 'waiting' }] : []),
      ...shown.filter(({ of_received }) => of_received).map((loss) => term(loss, '+')),
      ...(zeros > 0 ? [{ key: 'zeros', op: '+', value: 0, name: 'elsewhere' }] : []),
      ...(ledger.unaccounted ? [{ key: 'unaccounted', op: '+', value: ledger.unaccounted, name: 'unaccounted', is_loss: true }] : []),
      ...shown.filter(({ of_received }) => !of_received).map((loss) => term(loss, '·', ', before')),
      ...(ledger.filtered > 0 ? [{ key: 'filtered', op: '·', value: ledger.filtered, name: 'filtered, before' }] : []),
    ];
    list(this.sum, terms, (term) => term.key, () => h('span', { class: 'term' }, h('i', { 'aria-hidden': 'false' }), h('b'), h('span')), (element, term) => {
      setText(element.children[0], term.op);
      setText(element.children[1], format.exact(term.value));
      setText(element.children[2], term.name);
      setAttr(element, 'data-lost', Boolean(term.is_loss && term.value > 0));
    });
    const { kind, text, more } = verdict(ledger, tick.ts, this.app.store.begin(), lossRates(tick));
    setAttr(this.element, 'data-kind', kind);
    setText(this.text, `${kind === 'bad' ? '▲' : '✓'} ${text}`);
    setText(this.more, more);
  }
}

// Hosts with the most traffic: of the last minute, or of the time that is looked at.
export class TalkersPanel {
  constructor(app) {
    this.app = app;
    this.heading = heading('Top talkers', 'last minute');
    this.body = h('ol', { class: 'talkers' });
    this.state = new PanelState();
    this.element = h('section', { class: 'panel talkers-panel', 'aria-label': 'Top talkers' }, this.heading.element, this.state.element, this.body);
  }

  update(tick) { this.show(tick.talkers.slice(0, TALKERS_MAX).map(({ ip, bps, bps_in, share }) => ({ ip, value: format.bits(bps), size: bps, in_share: tick.direction && bps > 0 ? bps_in / bps : 1, share })), 'last minute'); }

  // Rows of `top`: bytes of a time.
  showTop(rows, note) { this.show(rows.slice(0, TALKERS_MAX).map(({ label, bytes }) => ({ ip: label, value: format.bytes(bytes), size: bytes, in_share: 1 })), note); }

  show(rows, note) {
    setText(this.heading.note, note);
    const most = rows.reduce((max, row) => Math.max(max, row.size), 0) || 1;
    const make = (row) => {
      const link = h('a', {}, foreign(row.ip, 60, { class: 'mono' }));
      return h('li', {}, link, h('span', { class: 'num' }), h('span', { class: 'bar', 'aria-hidden': 'true' }, h('i', { class: 'fill-in' }), h('i', { class: 'fill-out' })));
    };
    list(this.body, rows, (row) => row.ip, make, (element, row) => {
      const [link, value, bar] = element.children;
      setAttr(link, 'href', this.app.route.href({ view: 'flows', filter: `host:${row.ip}` }));
      setText(value, row.value);
      width(bar.children[0], row.size / most * row.in_share);
      width(bar.children[1], row.size / most * (1 - row.in_share));
    });
    if (rows.length > 0) this.state.ready(); else this.state.nothing('No traffic', 'Nobody sent anything in this time.');
  }
}

// Services by their share, as one bar and a legend; below it the round trips.
export class MixPanel {
  constructor(app) {
    this.app = app;
    this.heading = heading('Services', 'bytes, last minute');
    this.bar = h('div', { class: 'mix', 'aria-hidden': 'true' });
    this.legend = h('ul', { class: 'mix-legend' });
    this.rtt = ['p50', 'p90', 'p99', 'handshake'].map((name) => ({ name, value: h('b'), unit: h('small') }));
    this.rtt_heading = heading('Round trip', '');
    this.protocols = h('p', { class: 'protocols dim' });
    this.state = new PanelState();
    this.element = h('section', { class: 'panel mix-panel', 'aria-label': 'Services' }, this.heading.element, this.state.element, this.bar, this.legend, this.protocols, this.rtt_heading.element,
      h('dl', { class: 'figures' }, this.rtt.map(({ name, value, unit }) => h('div', {}, h('dt', { text: name }), h('dd', {}, value, unit)))));
  }

  update(tick) {
    this.show(tick.services.map(({ name, protocol, port, share }) => ({ name, key: `${protocol}/${port}`, share })), 'bytes, last minute');
    this.updateProtocols(tick);
    const { rtt } = tick;
    const values = rtt ? [rtt.p50_ms, rtt.p90_ms, rtt.p99_ms, rtt.handshake_p50_ms] : [null, null, null, null];
    this.rtt.forEach(({ value, unit }, i) => {
      const [number, name = ''] = format.ms(values[i]).split(' ');
      setText(value, number);
      setText(unit, name && ` ${name}`);
    });
    setText(this.rtt_heading.note, rtt?.samples ? `${format.count(rtt.samples)} samples, last minute` : 'no samples');
  }

  showTop(rows, total, note) { this.show(rows.map(({ label, value }) => ({ name: label, key: label, share: total > 0 ? value / total : 0 })), note); }

  show(services, note) {
    setText(this.heading.note, note);
    if (services.length > 0) this.state.ready(); else this.state.nothing('No service', 'Nothing was sent in this time.');
    const shown = services.slice(0, SERVICES_MAX - 1).map((service, i) => ({ ...service, colour: `var(--c${i + 1})` }));
    const rest = 1 - shown.reduce((sum, { share }) => sum + share, 0);
    if (rest > 0.0005 && shown.length > 0) shown.push({ name: 'other', key: 'other', share: rest, colour: 'var(--c8)' });
    list(this.bar, shown, (s) => s.key, () => h('i'), (element, s) => { width(element, s.share); element.style.setProperty('background', s.colour); });
    const make = (s) => h('li', {}, h('i', { 'aria-hidden': 'true' }), s.key === 'other' ? h('span', { text: 'other' }) : h('a', {}, foreign(s.name, 24)), h('b'));
    list(this.legend, shown, (s) => s.key, make, (element, s) => {
      if (s.key !== 'other') setAttr(element.children[1], 'href', this.app.route.href({ view: 'flows', filter: `service:${s.name}` }));
      element.children[0].style.setProperty('background', s.colour);
      setText(element.children[2], format.percent(s.share));
    });
  }

  updateProtocols({ protocols, bytes }) {
    const names = { tcp: 'TCP', udp: 'UDP', icmp: 'ICMP', other_ip: 'other IP', non_ip: 'no IP' };
    const parts = Object.entries(names).map(([key, name]) => [name, bytes > 0 ? (protocols[key]?.bytes ?? 0) / bytes : 0]).filter(([, share]) => share >= 0.002);
    setText(this.protocols, parts.map(([name, share]) => `${name} ${format.percent(share)}`).join(' · '));
  }
}

// A row per queue: how busy its worker is and how full its ring.
export class QueuesPanel {
  constructor(app) {
    this.app = app;
    this.heading = heading('Queues', 'worker’s load · ring fill');
    this.body = h('ul', { class: 'queues' });
    this.rest = h('p', { class: 'dim' });
    this.facts = ['batch p99', 'memory', 'CPU', 'outputs', 'up'].map((name) => ({ name, value: h('dd') }));
    this.probe = heading('Probe');
    this.state = new PanelState();
    this.element = h('section', { class: 'panel queues-panel', 'aria-label': 'Queues' }, this.heading.element, this.state.element, this.body, this.rest, this.probe.element, h('dl', { class: 'pairs' }, this.facts.map(({ name, value }) => h('div', { title: name === 'batch p99' ? 'of the slowest worker, since the start' : null }, h('dt', { text: name }), value))));
  }

  update(tick) {
    const all = tick.queues;
    if (all.length > 0) this.state.ready(); else this.state.nothing('No queue', 'Nothing captures.');
    const fill = ({ ring }) => (ring && ring.size > 0 ? ring.used / ring.size : null);
    const worst = all.length <= QUEUES_MAX ? all : [...all].sort((a, b) => Math.max(b.load ?? 0, fill(b) ?? 0) - Math.max(a.load ?? 0, fill(a) ?? 0)).slice(0, QUEUES_MAX);
    setAttr(this.body, 'data-many', worst.length > 6);
    const bar = (name) => h('span', { class: `meter ${name}` }, h('i'));
    const make = () => h('li', {}, h('span', { class: 'queue-name' }), bar('load'), h('b', { class: 'num' }), bar('ring'), h('b', { class: 'num' }), h('span', { class: 'queue-note' }));
    list(this.body, worst, (q) => `${q.interface} ${q.queue}`, make, (element, queue) => this.row(element, queue, fill(queue)));
    setText(this.rest, all.length > worst.length ? `and ${all.length - worst.length} more that are less busy` : '');
    const slowest = all.reduce((max, { batch }) => Math.max(max, batch?.p99_us ?? 0), 0);
    const behind = tick.outputs.filter(({ state, lost }) => lost > 0 || state !== 'keeps up');
    const texts = [format.us(slowest || null), format.bytes(tick.memory_bytes), format.percent(tick.cpu_share), tick.outputs.length === 0 ? 'none' : behind.length ? `▲ ${behind.length} behind` : 'all keep up', format.shortDuration((tick.server_ts ?? tick.ts) - this.app.store.hello.started)];
    this.facts.forEach(({ value }, i) => setText(value, texts[i]));
    setAttr(this.facts[3].value, 'data-bad', behind.length > 0);
  }

  row(element, queue, fill) {
    const [name, load, load_text, ring, ring_text, note] = element.children;
    const level = (share) => (share >= FULL ? 'full' : share >= HOT ? 'hot' : null);
    setText(name, `q${queue.queue}`);
    element.title = `${format.visible(queue.interface, 30)}, queue ${queue.queue}`;
    for (const [meter, share] of [[load, queue.load], [ring, fill]]) { width(meter.firstChild, share); setAttr(meter, 'data-level', level(share)); }
    setText(load_text, format.percent(queue.load));
    setText(ring_text, format.percent(fill));
    setText(note, queue.silent_since !== null ? `▲ silent since ${format.clock(queue.silent_since)}` : queue.kernel_drops_total > 0 ? `▲ ${format.count(queue.kernel_drops_total)} dropped` : '');
  }
}

// What is wrong now, then what was.
export class AlertsPanel {
  constructor(app) {
    this.app = app;
    this.heading = heading('Alerts');
    this.body = h('ul', { class: 'wall-alerts' });
    this.state = new PanelState();
    this.element = h('section', { class: 'panel alerts-panel', 'aria-label': 'Alerts' }, this.heading.element, this.state.element, this.body);
  }

  // How many are shown at most.
  setMost(most = ALERTS_MAX) { this.most = most; }

  update(tick) {
    const { store, route } = this.app;
    const sorted = [...store.alerts.values()].sort(words.order);
    const open = tick.alerts_open.low + tick.alerts_open.medium + tick.alerts_open.high;
    const is_off = store.hello.has?.detection === false;
    setText(this.heading.name, is_off ? 'Detection is off' : open ? `${format.plural(open, 'open alert')}` : 'No open alert');
    setAttr(this.heading.name, 'data-open', tick.alerts_open.high > 0 ? 'high' : open > 0 ? 'some' : null);
    setText(this.heading.note, is_off ? '' : `today ${format.exact(tick.alerts_today)}`);
    if (sorted.length > 0 && !is_off) this.state.ready(); else words.sayNone(this.state, store);
    const make = () => h('li', {}, h('a', {}, h('span', { class: 'alert-top' }, h('span', { class: 'severity' }), h('span', { class: 'alert-life' })), h('bdi', { class: 'alert-title cut' }), h('bdi', { class: 'alert-detail' })));
    list(this.body, sorted.slice(0, this.most ?? ALERTS_MAX), (alert) => alert.id, make, (element, alert) => {
      const [top, title, detail] = element.firstChild.children;
      setAttr(element.firstChild, 'href', route.href({ view: 'alerts', alert: alert.id }));
      setAttr(element, 'data-severity', alert.severity);
      setAttr(element, 'data-state', alert.state);
      setAttr(top.children[0], 'data-severity', alert.state === 'open' ? alert.severity : 'ended');
      setText(top.children[0], `${alert.severity}${alert.acknowledged ? ', acknowledged' : ''}`);
      setText(top.children[1], words.lifeText(alert, tick.ts));
      setText(title, words.title(alert));
      setText(detail, words.detail(alert));
    });
  }
}
