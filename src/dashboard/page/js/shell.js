// What surrounds every view: the bar, the age of the data, notices, toasts, the live region. Knows no view's content.

import { h, setAttr, setText } from './dom.js';
import * as format from './format.js';
import * as theme from './theme.js';
import { SPANS } from './time.js';

const STALE_MS = 2000;
const CHECK_MS = 500;
const TOAST_MS = 5000;
const TOASTS_MAX = 4;
const BACKENDS = { tpacket: 'TPACKET_V3', xdp: 'AF_XDP', libpcap: 'libpcap', nflog: 'NFLOG', file: 'file' };

const at = (id) => document.getElementById(id);

// Says it to who cannot see it. The same text again is said again.
export function announce(text) {
  const region = at('announce');
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 30);
}

export function toast(text) {
  const element = h('div', { class: 'toast', text });
  at('toasts').append(element);
  while (at('toasts').children.length > TOASTS_MAX) at('toasts').firstChild.remove();
  announce(text);
  setTimeout(() => element.remove(), TOAST_MS);
}

export class Shell {
  constructor(app, showKeys) {
    this.app = app;
    this.stale_since = null;
    this.makeTime();
    this.makeTools(showKeys);
    const { store, socket, route, time } = app;
    store.on('hello', (hello) => this.hello(hello));
    store.on('frame', () => this.check());
    store.on('frame', () => this.clock());
    store.on('frame', ({ tick }) => { if (tick.queues.length !== this.queues) { this.queues = tick.queues.length; this.facts(store.hello); } });
    store.on('alerts', (changed) => this.alerts(changed));
    store.on('restart', ({ now }) => this.notice(`NetScope was restarted at ${format.clock(now.started)}. What is shown begins anew.`));
    store.on('problem', (text) => toast(text));
    socket.on('state', () => this.check());
    socket.on('error', (message) => toast(format.visible(message.message, 200)));
    route.on(() => this.links());
    time.on(() => this.time());
    document.addEventListener('visibilitychange', () => this.watch());
    this.watch();
    this.links();
    this.time();
  }

  // The timer runs only while the page is seen.
  watch() {
    clearInterval(this.timer);
    if (document.visibilityState === 'hidden') { this.resumed = null; return; }
    this.resumed = performance.now();
    this.timer = setInterval(() => this.check(), CHECK_MS);
    this.check();
  }

  hello(hello) {
    this.facts(hello);
    this.title();
  }

  // Where the packets come from.
  facts(hello) {
    const { source } = hello;
    const parts = [hello.host, source.interfaces?.join(', ') || source.name, BACKENDS[source.backend] ?? source.backend, source.link_speed_bps ? format.bits(source.link_speed_bps).replace('.00', '').replace('.0', '') : null];
    if (this.queues > 1) parts.splice(3, 0, `${this.queues} queues`);
    if (source.kind === 'file' && source.replay_speed) parts.push(`replay × ${source.replay_speed}`);
    setText(at('facts'), parts.filter(Boolean).map((part) => format.visible(part, 60)).join(' · '));
    at('facts').title = at('facts').textContent;
  }

  title() {
    const { hello } = this.app.store;
    const open = this.app.store.openAlerts().length;
    document.title = `${open ? `(${open}) ` : ''}${this.view_title ?? 'NetScope'}${hello ? ` · ${format.visible(hello.host, 40)}` : ''} · NetScope`;
  }

  setView(name, view_title, uses_time) {
    this.view_title = view_title;
    for (const link of at('views').children) setAttr(link, 'aria-current', link.dataset.view === name || (name === 'flow' && link.dataset.view === 'flows') ? 'page' : null);
    at('time').hidden = !uses_time;
    document.body.dataset.view = name;
    this.title();
  }

  links() {
    for (const link of at('views').children) link.setAttribute('href', this.app.route.href({ view: link.dataset.view }));
    const tv = this.app.route.params.get('tv') === '1';
    if (tv) document.documentElement.dataset.tv = '1'; else delete document.documentElement.dataset.tv;
  }

  clock() {
    const now = this.app.store.tick.server_ts ?? this.app.store.now();
    setText(at('clock'), `${format.clock(now)} ${format.zone()}`);
    setAttr(at('clock'), 'datetime', format.iso(now));
  }

  alerts(changed) {
    const open = this.app.store.openAlerts();
    const badge = at('alert-badge');
    badge.hidden = open.length === 0;
    const worst = ['high', 'medium', 'low'].find((severity) => open.some((alert) => alert.severity === severity));
    setText(badge, open.length > 99 ? '99+' : String(open.length));
    setAttr(badge, 'data-severity', worst);
    setAttr(badge, 'aria-label', `${open.length} open`);
    const begun = changed.filter((alert) => alert.phase === 'begin');
    const ended = changed.filter((alert) => alert.phase === 'end');
    if (begun.length) announce(begun.length === 1 ? `Alert, ${begun[0].severity}: ${format.visible(begun[0].description, 160)}` : `${begun.length} alerts began`);
    else if (ended.length) announce(ended.length === 1 ? `Ended: ${format.visible(ended[0].description, 120)}` : `${ended.length} alerts ended`);
    this.title();
  }

  // How old the data is, and whether that has to be said loudly.
  check() {
    const { store, socket, time } = this.app;
    const state = at('state');
    const is_ended = store.tick?.state === 'ended';
    const limit = Math.max(STALE_MS, 2.5 * (store.hello?.tick_ms ?? 1000));
    const seen_from = Math.max(store.received_at ?? 0, this.resumed ?? 0);
    const age = store.received_at === null ? null : performance.now() - store.received_at;
    const is_stale = !is_ended && store.received_at !== null && performance.now() - seen_from > limit;
    if (is_stale && this.stale_since === null) {
      this.stale_since = store.tick?.server_ts ?? Date.now() / 1000;
      announce(`No data since ${format.clock(this.stale_since)}. What is shown is old.`);
    }
    if (!is_stale && this.stale_since !== null) { this.stale_since = null; announce('Data is live again.'); }
    setAttr(document.body, 'data-stale', is_stale);
    at('stale').hidden = !is_stale;
    let [kind, text] = ['live', `live · ${format.digits((age ?? 0) / 1000).slice(0, 3)} s old`];
    if (store.received_at === null) [kind, text] = socket.state === 'waiting' ? ['waiting', 'no connection'] : ['connecting', 'connecting'];
    else if (is_ended) [kind, text] = ['ended', 'file read to its end'];
    else if (is_stale) {
      [kind, text] = ['stale', `old · ${format.duration(age / 1000)}`];
      const retry = socket.state === 'waiting' ? ' The connection is lost and is tried again.' : '';
      setText(at('stale'), `▲ No data since ${format.clock(this.stale_since)} (${format.duration(age / 1000)}). What is shown is old.${retry}`);
    } else if (!time.live) [kind, text] = ['paused', 'standing still'];
    else if (store.tick?.state === 'replay') [kind, text] = ['live', `replay · ${format.digits((age ?? 0) / 1000).slice(0, 3)} s old`];
    setAttr(state, 'data-state', kind);
    setText(at('state-text'), text);
  }

  notice(text) {
    const close = h('button', { class: 'button', type: 'button', text: 'Close', on: { click: () => { at('notice').hidden = true; } } });
    at('notice').replaceChildren(h('span', { text }), close);
    at('notice').hidden = false;
    announce(text);
  }

  makeTools(showKeys) {
    const label = () => `Theme: ${theme.current()}`;
    const button = h('button', { class: 'button quiet', type: 'button', id: 'theme-button', text: label(), on: { click: () => this.nextTheme() } });
    const keys = h('button', { class: 'button quiet', type: 'button', on: { click: showKeys } }, h('kbd', { text: '?', 'aria-hidden': 'true' }), 'Keys');
    at('tools').append(button, keys);
    theme.on(() => setText(button, label()));
  }

  nextTheme() {
    const next = theme.THEMES[(theme.THEMES.indexOf(theme.current()) + 1) % theme.THEMES.length];
    theme.apply(next, { keep: true });
    if (this.app.route.params.has('theme')) this.app.route.set({ theme: null }, { replace: true });
    announce(`Theme: ${next}`);
  }

  makeTime() {
    const { time } = this.app;
    this.spans = SPANS.map(({ secs, label }) => h('button', { type: 'button', text: label, on: { click: () => time.set({ span: secs }) } }));
    this.back = h('button', { type: 'button', text: '◀', 'aria-label': 'Back by half', title: 'Back by half (←)', on: { click: () => time.step(-1) } });
    this.forth = h('button', { type: 'button', text: '▶', 'aria-label': 'On by half', title: 'On by half (→)', on: { click: () => time.step(1) } });
    this.pause = h('button', { type: 'button', title: 'Space', on: { click: () => time.toggle() } });
    this.window = h('span', { class: 'window', hidden: true });
    at('time').append(this.window, h('div', { class: 'segments' }, this.spans), h('div', { class: 'segments' }, this.back, this.pause, this.forth));
  }

  time() {
    const { time } = this.app;
    this.spans.forEach((button, i) => setAttr(button, 'aria-pressed', String(time.live && time.span === SPANS[i].secs)));
    setText(this.pause, time.live ? 'Pause' : 'Go live');
    setAttr(this.pause, 'aria-pressed', String(!time.live));
    this.forth.disabled = time.live;
    this.window.hidden = time.live;
    if (!time.live) {
      setText(this.window, `${format.when(time.from, this.app.store.now())} – ${format.clock(time.to)}`);
      announce(`Time: ${this.window.textContent}`);
    }
    this.check();
  }
}
