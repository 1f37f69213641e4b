// What the page knows: the server's hello, the latest tick, alerts, history. Bounded.

import { api } from './api.js';
import { Emitter } from './emitter.js';
import { DAY, History, HOUR } from './history.js';

const ALERTS_MAX = 1000;
const METRICS = { seconds: ['bytes', 'packets', 'drops', 'flows_active'], minutes: ['bytes', 'packets', 'drops', 'flows_active', 'bytes_peak'] };
// Where the server says that it keeps the direction.
const DIRECTION_METRICS = ['bytes_in', 'bytes_out'];
// Ticks that were missed are asked for after so long, together.
const GAP_MS = 1500;

export class Store {
  constructor(socket) {
    this.emitter = new Emitter();
    this.hello = null;
    this.tick = null;
    this.alerts = new Map();
    this.history = new History();
    this.history_state = 'loading'; // 'loading', 'ready', 'none', or 'failed'
    this.alerts_state = 'loading'; // the same
    this.history_error = null;
    this.alerts_error = null;
    this.received_at = null; // performance.now() of the latest frame
    this.frames = 0;
    this.loading = new Map();
    socket.on('hello', (message) => this.takeHello(message));
    socket.on('frame', (message) => this.takeFrame(message));
    document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible' && this.hello) this.catchUp(); });
  }

  // 'hello' (first and after each reconnect), 'restart' {before, now}, 'frame' message, 'alerts' [changed], 'history'.
  on(type, listener) { return this.emitter.on(type, listener); }

  // Unix seconds of the latest tick: packet time. Before the first one the server's clock.
  now() {
    if (this.tick === null) return this.hello?.server_ts ?? Date.now() / 1000;
    return this.tick.ts;
  }

  takeHello(hello) {
    const before = this.hello;
    this.hello = hello;
    const is_restart = before !== null && before.boot_id !== hello.boot_id;
    if (is_restart) { this.history.clear(); this.alerts.clear(); this.tick = null; this.history_state = 'loading'; this.alerts_state = 'loading'; }
    this.emitter.emit('hello', hello);
    if (is_restart) this.emitter.emit('restart', { before, now: hello });
    this.catchUp();
  }

  takeFrame(message) {
    this.tick = message.tick;
    this.received_at = performance.now();
    this.frames += 1;
    if (this.history.tick(message.tick)) this.fillGap();
    this.takeAlerts(message.alerts ?? []);
    this.emitter.emit('frame', message);
  }

  takeAlerts(changed) {
    if (changed.length === 0) return;
    for (const alert of changed) {
      const before = this.alerts.get(alert.id);
      this.alerts.delete(alert.id);
      this.alerts.set(alert.id, { ...alert, acknowledged: alert.acknowledged ?? before?.acknowledged ?? null });
    }
    this.forgetAlerts();
    this.emitter.emit('alerts', changed);
  }

  // Replaces an alert that the server has just answered with, `acknowledged` included.
  putAlert(alert) {
    this.alerts.set(alert.id, alert);
    this.emitter.emit('alerts', [alert]);
  }

  // Ended ones first, the oldest first.
  forgetAlerts() {
    for (const state of ['ended', 'open']) {
      for (const [id, alert] of this.alerts) {
        if (this.alerts.size <= ALERTS_MAX) return;
        if (alert.state === state) this.alerts.delete(id);
      }
    }
  }

  // The beginning of what is known of a file; null of an interface.
  fileBegin() { return this.hello?.source.kind === 'file' ? this.history.firstKnown() : null; }

  // When the capture began; null of a file, whose packets have a time of their own.
  begin() { return this.hello?.source.kind === 'file' ? null : this.hello?.started ?? null; }

  openAlerts() { return [...this.alerts.values()].filter((alert) => alert.state === 'open'); }

  // Loads what the page does not have: the latest tick, history since its latest second, alerts of a day.
  async catchUp() {
    await this.loadTick();
    await Promise.all([this.loadHistory(), this.loadAlerts()]);
  }

  // The latest tick at once, before the first frame. Of a file it also says which time it is there.
  async loadTick() {
    const { boot_id, server_ts, source } = this.hello;
    try {
      const { tick } = await api('status');
      if (this.hello.boot_id !== boot_id) return;
      const fallback = source.kind === 'file' ? -Infinity : server_ts;
      const latest = tick || this.tick ? Math.max(this.tick?.ts ?? -Infinity, tick?.ts ?? -Infinity) : fallback;
      if (latest > -Infinity) this.history.connect(latest);
      if (!tick || (this.tick !== null && tick.ts <= this.tick.ts)) return;
      this.tick = tick;
      this.received_at = performance.now();
      this.emitter.emit('frame', { type: 'frame', frame_seq: tick.frame_seq, tick, packets: [], alerts: [] });
    } catch (error) {
      this.emitter.emit('problem', `The status could not be loaded: ${error.message}`);
    }
  }

  // A slow browser skips frames; the history has them.
  fillGap() {
    clearTimeout(this.gap_timer);
    this.gap_timer = setTimeout(() => { if (document.visibilityState === 'visible') this.loadHistory(this.gap_from); this.gap_from = null; }, GAP_MS);
    this.gap_from ??= this.now() - 120;
  }

  async loadHistory(since = null) {
    if (this.hello.has?.history === false) { this.history_state = 'none'; this.emitter.emit('history'); return; }
    const ring = this.history.seconds;
    const now = Math.floor(this.now()) + 1;
    // A few seconds again: the latest ones were not complete.
    const from = ring.head < 0 || this.history_state !== 'ready' ? now - HOUR : Math.max(now - HOUR, since ?? ring.head - 5);
    await this.load('seconds', from, now);
    if (this.minutes_wanted) await this.loadMinutes();
  }

  // The day by minutes, when a view shows it; afterwards call it once a minute.
  async loadMinutes() {
    if (this.hello === null || this.hello.has?.history === false) return;
    const ring = this.history.minutes;
    const now = Math.floor(this.now());
    const is_first = !this.minutes_wanted || ring.head < 0;
    this.minutes_wanted = true;
    await this.load('minutes', is_first ? now - DAY : Math.max(now - DAY, (ring.head - 3) * 60), now + 1);
  }

  async load(which, from, to) {
    if (this.loading.get(which)) return;
    this.loading.set(which, true);
    const ring = this.history[which];
    if (this.history_state === 'failed') { this.history_state = 'loading'; this.emitter.emit('history'); }
    const boot = this.hello.boot_id;
    try {
      const metric = [...METRICS[which], ...(this.hello.has?.direction_history ? DIRECTION_METRICS : [])];
      const answer = await api('history', { metric, from: from - (from % ring.step), to, step: ring.step });
      if (this.hello.boot_id === boot) this.history.fill(ring, answer);
      this.history_state = 'ready';
    } catch (error) {
      this.history_state = 'failed';
      this.history_error = error;
      this.emitter.emit('problem', `The history could not be loaded: ${error.message}`);
    } finally {
      this.loading.set(which, false);
      this.emitter.emit('history');
    }
  }

  async loadAlerts() {
    if (this.hello.has?.detection === false) { this.alerts_state = 'none'; this.emitter.emit('alerts', []); return; }
    if (this.alerts_state === 'failed') { this.alerts_state = 'loading'; this.emitter.emit('alerts', []); }
    try {
      const answer = await api('alerts', { from: Math.floor(this.now() - DAY), limit: 500 });
      for (const alert of [...answer.alerts].reverse()) this.alerts.set(alert.id, alert);
      this.forgetAlerts();
      this.alerts_state = 'ready';
      this.emitter.emit('alerts', []);
    } catch (error) {
      this.alerts_state = 'failed';
      this.alerts_error = error;
      this.emitter.emit('alerts', []);
      this.emitter.emit('problem', `Alerts could not be loaded: ${error.message}`);
    }
  }
}
