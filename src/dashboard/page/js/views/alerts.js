// The inbox of alerts: what is open, what was, when; beside it the one that is looked at.

import { alertDetail } from '../alert_detail.js';
import * as words from '../alert_text.js';
import { foreign, h, list, setAttr, setText } from '../dom.js';
import * as format from '../format.js';
import { PanelState } from '../panel_state.js';

const HOURS_MS = 60000;
const ROWS_MAX = 300;
const STATES = [['', 'All'], ['open', 'Open'], ['ended', 'Ended']];

export const view = {
  name: 'alerts', title: 'Alerts', uses_time: false,
  mount(root, app) {
    const inbox = new Inbox(root, app);
    return { frame: () => inbox.tick(), route: () => inbox.draw(), leave: () => inbox.leave() };
  },
};

class Inbox {
  constructor(root, app) {
    this.app = app;
    this.root = root;
    const { route } = app;
    this.states = STATES.map(([value, text]) => h('button', { type: 'button', text, data: { value }, on: { click: () => route.set({ state: value || null, alert: null }) } }));
    this.severities = words.SEVERITIES.map((severity) => h('button', { class: 'button', type: 'button', on: { click: () => this.toggleSeverity(severity) } }, h('span', { class: 'severity', 'data-severity': severity, text: severity })));
    this.kind = h('select', { 'aria-label': 'Kind', on: { change: () => route.set({ kind: this.kind.value || null, alert: null }) } });
    this.count = h('span', { class: 'dim', role: 'status' });
    this.hours = h('ol', { class: 'hours' });
    this.hours_note = h('span', { class: 'aside' });
    this.hours_state = new PanelState('is-small');
    this.body = h('ol', { class: 'inbox-list', on: { keydown: (event) => this.key(event) } });
    this.state = new PanelState();
    this.mutes = h('details', { class: 'mutes' }, h('summary', { text: 'Muted' }), h('ul', {}));
    this.pane = h('aside', { class: 'panel inbox-detail', 'aria-label': 'The alert that is looked at' });
    root.append(h('h1', { class: 'sr', text: 'Alerts' }),
      h('div', { class: 'inbox-bar' }, h('div', { class: 'segments', role: 'group', 'aria-label': 'State' }, this.states), h('div', { class: 'severities', role: 'group', 'aria-label': 'Severity' }, this.severities), this.kind, this.count),
      h('section', { class: 'panel hours-panel', 'aria-label': 'Alerts per hour' }, h('h2', { class: 'heading' }, h('span', { text: 'Began per hour' }), this.hours_note), this.hours_state.element, this.hours),
      h('section', { class: 'inbox', 'aria-label': 'Alerts' }, this.body, this.state.element, this.mutes), this.pane);
    this.stops = [app.store.on('alerts', () => this.draw()), app.store.on('hello', () => this.load())];
    this.draw();
    if (app.store.hello) this.load();
  }

  leave() { this.stops.forEach((stop) => stop()); this.left = true; }

  get filter() {
    const { params } = this.app.route;
    return { state: params.get('state') ?? '', severities: (params.get('severity') ?? '').split(',').filter(Boolean), kind: params.get('kind') ?? '', hour: Number(params.get('hour')) || null, id: params.get('alert') };
  }

  toggleSeverity(severity) {
    const now = this.filter.severities;
    const next = now.includes(severity) ? now.filter((s) => s !== severity) : [...now, severity];
    this.app.route.set({ severity: next.length === 0 || next.length === words.SEVERITIES.length ? null : next.join(','), alert: null });
  }

  // What the server counts: per hour, and the mute rules.
  async load() {
    this.loaded_at = performance.now();
    if (this.hours.children.length === 0) this.hours_state.loading('Loading the hours');
    try {
      const now = this.app.store.now();
      const [{ per_hour, left_out, kept_max }, { mutes }] = await Promise.all([this.app.api('alerts', { from: Math.floor(now - 86400), limit: 1 }), this.app.api('mutes')]);
      if (this.left) return;
      this.hours_state.ready();
      const hours = per_hour.slice(-24);
      this.showHours(hours);
      const begun = hours.reduce((sum, { low, medium, high }) => sum + low + medium + high, 0);
      setText(this.hours_note, left_out > 0 ? `${format.exact(left_out)} older ones were not kept (${format.exact(kept_max)} are)` : `${format.plural(begun, 'alert')} in ${format.plural(hours.length, 'hour')}`);
      this.showMutes(mutes);
    } catch (error) {
      if (this.left) return;
      if (this.hours.children.length === 0) this.hours_state.failed('The hours cannot be loaded', error, () => this.load());
      else setText(this.hours_note, `older: ${format.visible(error.message, 100)}`);
    }
  }

  showHours(hours) {
    const most = Math.max(1, ...hours.map(({ low, medium, high }) => low + medium + high));
    const make = () => h('li', {}, h('button', { type: 'button' }, h('span', { class: 'hour-bars' }, [...words.SEVERITIES].reverse().map((severity) => h('i', { 'data-severity': severity }))), h('span', { class: 'hour-name', 'aria-hidden': 'true' })));
    list(this.hours, hours, ({ hour }) => hour, make, (element, row) => {
      const [button] = element.children;
      button.onclick = () => this.app.route.set({ hour: this.filter.hour === row.hour ? null : row.hour, alert: null });
      const [bars, name] = button.children;
      [...bars.children].forEach((bar) => bar.style.setProperty('height', `${row[bar.dataset.severity] / most * 100}%`));
      setText(name, format.shortClock(row.hour).slice(0, 2));
      setAttr(button, 'aria-pressed', String(this.filter.hour === row.hour));
      setAttr(button, 'aria-label', `${format.shortClock(row.hour)}: ${row.high} high, ${row.medium} medium, ${row.low} low`);
      button.title = button.getAttribute('aria-label');
    });
  }

  showMutes(mutes) {
    const now = this.app.store.now();
    this.mutes.hidden = mutes.length === 0;
    setText(this.mutes.children[0], `${format.plural(mutes.length, 'mute rule')}`);
    this.mutes.children[1].replaceChildren(...mutes.map((rule) => {
      const what = [rule.kind ? words.kindText(rule.kind) : 'any kind', rule.network, rule.port ? `port ${rule.port}` : null].filter(Boolean).join(', ');
      const end_text = rule.until === null ? null : format.when(rule.until, now);
      const until = rule.from_config ? (end_text ? `until ${end_text}` : 'while the configuration has it') : end_text ? `until ${end_text} or until the program ends` : 'until the program ends';
      const end = async () => { try { await this.app.api(`mutes/${encodeURIComponent(rule.id)}`, {}, { method: 'DELETE' }); this.app.toast('The mute rule is gone'); this.load(); } catch (error) { this.app.toast(error.message); } };
      return h('li', {}, h('span', {}, foreign(what, 120), h('span', { class: 'dim' }, ` ${until}, ${format.plural(rule.alerts, 'alert')} muted: `, foreign(rule.reason, 200))),
        rule.from_config ? h('span', { class: 'faint', text: 'from the configuration' }) : h('button', { class: 'button quiet', type: 'button', text: 'End it', on: { click: end } }));
    }));
  }

  rows() {
    const { state, severities, kind, hour } = this.filter;
    return [...this.app.store.alerts.values()].filter((alert) => (!state || alert.state === state) && (severities.length === 0 || severities.includes(alert.severity)) && (!kind || alert.kind === kind) && (!hour || (alert.began >= hour && alert.began < hour + 3600))).sort(words.order);
  }

  tick() {
    const now = this.app.store.now();
    for (const element of this.body.children) setText(element.life, words.lifeText(element.alert, now));
    this.shown_pane?.tick(now);
    if (performance.now() - this.loaded_at > HOURS_MS) this.load();
  }

  draw() {
    const { filter, app } = this;
    const rows = this.rows();
    for (const button of this.states) setAttr(button, 'aria-pressed', String(button.dataset.value === filter.state));
    this.severities.forEach((button, i) => setAttr(button, 'aria-pressed', String(filter.severities.includes(words.SEVERITIES[i]))));
    this.fillKinds(filter.kind);
    for (const item of this.hours.children) setAttr(item.firstChild, 'aria-pressed', String(item.firstChild.getAttribute('aria-label')?.startsWith(filter.hour ? `${format.shortClock(filter.hour)}:` : ' ') ?? false));
    setText(this.count, rows.length > ROWS_MAX ? `${format.exact(ROWS_MAX)} of ${format.exact(rows.length)} are shown` : format.plural(rows.length, 'alert'));
    const now = app.store.now();
    list(this.body, rows.slice(0, ROWS_MAX), ({ id }) => id, (alert) => this.makeRow(alert), (element, alert) => this.updateRow(element, alert, now, filter.id));
    if (rows.length > 0) this.state.ready();
    else words.sayNone(this.state, app.store, filter.state || filter.severities.length || filter.kind || filter.hour ? { text: 'Show all alerts', run: () => app.route.set({ state: null, severity: null, kind: null, hour: null, alert: null }) } : null);
    this.showPane(filter.id ? app.store.alerts.get(filter.id) : (matchMedia('(min-width: 961px)').matches ? rows[0] : undefined), filter.id);
  }

  fillKinds(chosen) {
    const kinds = [...new Set([...this.app.store.alerts.values()].map(({ kind }) => kind)), ...(chosen ? [chosen] : [])].filter((kind, i, all) => all.indexOf(kind) === i).sort();
    const key = kinds.join();
    if (this.kinds !== key) {
      this.kinds = key;
      this.kind.replaceChildren(h('option', { value: '', text: 'All kinds' }), ...kinds.map((kind) => h('option', { value: kind, text: words.kindText(kind) })));
    }
    this.kind.value = chosen;
  }

  makeRow() {
    const life = h('span', { class: 'alert-life' });
    const element = h('li', {}, h('a', { class: 'inbox-row' }, h('span', { class: 'severity' }), h('span', { class: 'inbox-text' }, h('bdi', { class: 'inbox-title' }), h('bdi', { class: 'dim cut' })), h('span', { class: 'inbox-side' }, life, h('span', { class: 'ack-mark' }))));
    element.life = life;
    return element;
  }

  updateRow(element, alert, now, chosen) {
    element.alert = alert;
    const [row] = element.children;
    const [severity, text, side] = row.children;
    setAttr(row, 'href', this.app.route.href({ alert: alert.id }));
    setAttr(row, 'aria-current', alert.id === chosen ? 'true' : null);
    setAttr(element, 'data-state', alert.state);
    setAttr(element, 'data-severity', alert.severity);
    setAttr(severity, 'data-severity', alert.state === 'open' ? alert.severity : 'ended');
    setText(severity, alert.severity);
    setText(text.children[0], words.title(alert));
    setText(text.children[1], words.detail(alert));
    setText(side.children[0], words.lifeText(alert, now));
    setText(side.children[1], alert.acknowledged ? '✓ acknowledged' : '');
  }

  // The pane is made anew when its alert changed, but not while somebody writes in it.
  showPane(alert, asked) {
    this.root.dataset.detail = asked ? 'shown' : '';
    const { store } = this.app;
    const key = alert ? JSON.stringify([alert.id, alert.state, alert.ts, alert.acknowledged]) : `${asked} ${store.alerts_state} ${store.alerts.size > 0}`;
    if (key === this.pane_key) return;
    const is_same = alert && this.shown_id === alert.id;
    if (is_same && this.pane.contains(document.activeElement) && document.activeElement.matches('input') && document.activeElement.value !== '') return;
    const had_focus = is_same && this.pane.contains(document.activeElement) ? [...this.pane.querySelectorAll('a, button, input')].indexOf(document.activeElement) : -1;
    this.pane_key = key;
    this.shown_id = alert?.id ?? null;
    const back = h('a', { class: 'button quiet inbox-back', href: this.app.route.href({ alert: null }), text: '← All alerts' });
    if (!alert) {
      this.shown_pane = null;
      const state = new PanelState();
      if (store.alerts_state === 'loading') state.loading(asked ? 'Loading this alert' : 'Loading alerts');
      else if (asked && store.alerts_state === 'failed') state.failed('This alert cannot be loaded', store.alerts_error, () => store.loadAlerts());
      else if (asked) state.nothing('This alert is not known any more', 'NetScope keeps the latest ones only.', { text: 'Show all alerts', run: () => this.app.route.set({ alert: null }) });
      else state.nothing('No alert is chosen', store.alerts.size > 0 ? 'Choose one from the list.' : 'What is found appears in the list.');
      this.pane.replaceChildren(back, state.element);
      return;
    }
    const scroll = this.pane.scrollTop;
    this.shown_pane = alertDetail(this.app, alert, { changed: (changed) => this.app.store.putAlert(changed), muted: () => this.load() });
    this.pane.replaceChildren(back, this.shown_pane);
    this.pane.scrollTop = is_same ? scroll : 0;
    if (had_focus >= 0) this.pane.querySelectorAll('a, button, input')[had_focus]?.focus({ preventScroll: true });
  }

  // Up and down go through the list.
  key(event) {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!move) return;
    const rows = [...this.body.querySelectorAll('a')];
    const next = rows[rows.indexOf(document.activeElement) + move];
    if (next) { event.preventDefault(); next.focus(); }
  }
}
