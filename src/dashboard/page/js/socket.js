// The WebSocket: reconnects with back-off and jitter, rests while the tab is hidden, measures the way to the server and its clock.

import { Emitter } from './emitter.js';

const BACKOFF_MIN_MS = 400;
const BACKOFF_MAX_MS = 15000;
const PING_MS = 5000;
// Without any message for so long the connection is dead.
const SILENT_MS = 20000;
// Latest measurements that are kept.
const SAMPLES = 120;

export class Socket {
  // state: 'connecting', 'open', 'waiting' (for the next attempt), 'hidden'.
  constructor() {
    this.emitter = new Emitter();
    this.state = 'connecting';
    this.attempts = 0;
    this.sent = [];
    this.ping_ms = PING_MS;
    this.rtt = { last_ms: null, offset_ms: null, samples: new Float64Array(SAMPLES).fill(NaN), next: 0 };
    document.addEventListener('visibilitychange', () => this.visibility());
    addEventListener('online', () => { if (this.state === 'waiting') this.connect(); });
    addEventListener('pagehide', () => this.socket?.close());
    addEventListener('pageshow', (event) => { if (event.persisted) this.connect(); });
  }

  on(type, listener) { return this.emitter.on(type, listener); }

  // Sends where there is a connection; false where there is none. What has to hold after a reconnect is sent again on 'hello'.
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  connect() {
    clearTimeout(this.timer);
    if (document.visibilityState === 'hidden') { this.become('hidden'); return; }
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    this.become('connecting');
    const address = new URL('ws', document.baseURI);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    address.search = '';
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.onopen = () => { this.heard = performance.now(); this.become('open'); this.schedulePing(); };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = () => { if (this.socket === socket) this.lost(); };
  }

  become(state) {
    if (this.state === state) return;
    this.state = state;
    this.emitter.emit('state', state);
  }

  receive(data) {
    this.heard = performance.now();
    let message;
    try { message = JSON.parse(data); } catch { this.emitter.emit('error', { type: 'error', code: 'bad_request', message: 'a message is no JSON' }); return; }
    if (message.type === 'hello') this.attempts = 0;
    if (message.type === 'perf_pong') this.pong(message);
    this.emitter.emit(message.type, message);
  }

  lost() {
    clearTimeout(this.ping_timer);
    this.socket = null;
    if (document.visibilityState === 'hidden') { this.become('hidden'); return; }
    const limit = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.attempts);
    this.attempts = Math.min(this.attempts + 1, 10);
    this.retry_at = performance.now() + limit * (0.5 + Math.random() / 2);
    this.become('waiting');
    this.timer = setTimeout(() => this.connect(), this.retry_at - performance.now());
  }

  visibility() {
    const is_hidden = document.visibilityState === 'hidden';
    if (is_hidden) { clearTimeout(this.ping_timer); clearTimeout(this.timer); }
    this.send({ type: 'hidden', hidden: is_hidden });
    if (is_hidden) return;
    if (this.socket?.readyState === WebSocket.OPEN) { this.heard = performance.now(); this.schedulePing(); } else this.connect();
  }

  // Pings more often while somebody looks at the numbers.
  setPingInterval(ms) { this.ping_ms = ms ?? PING_MS; this.schedulePing(); }

  schedulePing() {
    clearTimeout(this.ping_timer);
    if (this.state !== 'open' || document.visibilityState === 'hidden') return;
    this.ping_timer = setTimeout(() => {
      if (performance.now() - this.heard > SILENT_MS) { const dead = this.socket; this.socket = null; dead?.close(); this.lost(); return; }
      this.send({ type: 'perf_ping', client_ts: Date.now() });
      this.schedulePing();
    }, this.ping_ms);
  }

  // As NTP does: the server answered half a round trip after the question was sent. A positive offset says that the server's clock is ahead.
  pong({ client_ts, server_ts }) {
    const round_trip = Date.now() - client_ts;
    if (!(round_trip >= 0) || typeof server_ts !== 'number') return;
    const { samples } = this.rtt;
    samples[this.rtt.next] = round_trip;
    this.rtt.next = (this.rtt.next + 1) % samples.length;
    this.rtt.last_ms = round_trip;
    this.rtt.offset_ms = server_ts - (client_ts + round_trip / 2);
  }
}
