// The detail of one flow: headline, measures, rates, sentences, alerts, packets, every field, actions.
//
// Owns the elements, made once per flow and updated in place. Knows no view: it is the pane beside the table and the view of its own.
// Invariants: at most one request for the flow is on its way; what was seen last stays when the server no longer knows the flow.

import { h, setAttr, setText } from './dom.js';
import { button, copyText, showText } from './elements.js';
import { endpoint, exactValue, isMono, sayValue, valueOf } from './flow_fields.js';
import { applicationOf, kindOf, nameOf, retransmitted } from './flow_columns.js';
import { bpfOf, facts } from './flow_facts.js';
import { bits, bytes, clock, duration, exact, iso, known, ms, percent, plural, visible, when } from './format.js';
import { download } from './flows_bar.js';
import { PanelState } from './panel_state.js';
import { term } from './filter_language.js';
import { whyNoDownload } from './packet_download.js';
import { RateChart } from './rate_chart.js';

const REFRESH_MS = 1900;
const PACKETS_SHOWN = 6;

/** Filter terms that fit one flow: by its Community ID where the language has it, else by its ends. */
export function filterOf(flow, fields) {
  const id = fields.word('community_id');
  if (id && flow.community_id) return term(id, flow.community_id);
  const parts = ['client_ip', 'client_port', 'server_ip', 'server_port', 'protocol'].filter((name) => fields.word(name) && flow[name]);
  return parts.map((name) => term(fields.word(name), flow[name])).join(' ');
}

/** Options: onClose() for the pane; without it the detail is a view of its own. */
export class FlowDetail {
  constructor(app, fields, options = {}) {
    this.app = app;
    this.fields = fields;
    this.number = 0;
    this.id = null;
    this.title = h('h2', { class: 'flow-title', tabindex: '-1' });
    this.sub = h('p', { class: 'flow-sub' });
    const close = options.onClose ? button('×', options.onClose, { class: 'icon-button is-close', 'aria-label': 'Close the details', title: 'Close (Escape)' }) : null;
    this.banner = h('div', { class: 'flow-banner', role: 'status', hidden: true });
    this.bannerText = h('span', {});
    this.again = button('Try again', () => this.load());
    this.banner.append(this.bannerText, this.again);
    this.state = new PanelState();
    this.content = h('div', { class: 'flow-content' });
    this.element = h('div', { class: 'flow-detail' }, h('header', { class: 'flow-head' }, h('div', {}, this.title, this.sub), close), this.banner, this.state.element, this.content);
  }

  /** Shows a flow. */
  show(id) {
    if (id === this.id) return;
    this.id = id;
    this.flow = null;
    this.built = false;
    this.isGone = false;
    this.banner.hidden = true;
    this.content.hidden = true;
    this.title.textContent = 'Flow';
    this.sub.replaceChildren();
    this.state.loading('Loading this flow');
    this.load();
  }

  tick() {
    const isOver = this.isGone || this.answer?.state === 'ended';
    if (this.id && !this.isLoading && !isOver && performance.now() - (this.loadedAt ?? 0) >= REFRESH_MS) this.load();
  }

  leave() {
    this.number += 1;
    this.id = null;
  }

  async load() {
    this.number += 1;
    const { number } = this;
    this.isLoading = true;
    if (!this.flow && !this.isGone) this.state.loading('Loading this flow');
    this.loadedAt = performance.now();
    try {
      const answer = await this.app.api(`api/v1/flows/${encodeURIComponent(this.id)}`);
      if (number === this.number) this.take(answer);
    } catch (error) {
      if (number === this.number) this.fail(error);
    } finally {
      if (number === this.number) this.isLoading = false;
    }
  }

  take(answer) {
    this.answer = answer;
    this.flow = answer.flow;
    this.banner.hidden = true;
    this.state.ready();
    this.content.hidden = false;
    if (!this.built) this.build();
    this.update();
  }

  fail(error) {
    this.isGone = error.status === 404 || error.status === 410;
    this.again.hidden = this.isGone;
    if (this.flow) {
      this.banner.hidden = false;
      setText(this.bannerText, this.isGone ? `This flow is no longer kept. What you see was seen last at ${clock(this.answer.time)}.`
        : `This flow cannot be read now: ${visible(error.message, 200)}. What you see was seen at ${clock(this.answer.time)}.`);
      return;
    }
    if (!this.isGone) {
      this.state.failed('This flow cannot be read', error, () => this.load());
      return;
    }
    this.title.textContent = 'This flow is no longer known';
    this.sub.textContent = '';
    this.state.ready();
    this.content.hidden = false;
    this.content.replaceChildren(
      h('p', { class: 'flow-gone', text: 'Live flows are kept, and of those that ended the latest ones. Files of ended flows and the flow table at the end may still have it.' }),
      h('div', { class: 'actions' }, this.link('All flows', { view: 'flows', id: null })));
    this.built = false;
  }

  // Building, once per flow

  build() {
    this.built = true;
    this.tiles = ['rate', 'volume', 'round trip', 'retransmitted'].map(() => ({ value: h('b', {}), label: h('span', { class: 'tile-label' }), more: h('span', { class: 'tile-more' }) }));
    this.chart = new RateChart();
    this.facts = h('ul', { class: 'facts' });
    this.alertList = h('ul', { class: 'detail-alerts' });
    this.alertPart = h('section', {}, h('h3', { text: 'Alerts' }), this.alertList);
    this.packetList = h('ol', { class: 'detail-packets' });
    this.packetNote = h('span', { class: 'dim' });
    this.packetPart = h('section', {}, h('h3', { text: 'Sampled packets ' }, this.packetNote), this.packetList);
    this.factPart = h('section', {}, h('h3', { text: 'What was seen' }), this.facts);
    const all = this.buildFields();
    this.content.replaceChildren(
      h('div', { class: 'tiles' }, ...this.tiles.map((tile) => h('div', { class: 'tile' }, tile.label, tile.value, tile.more))),
      this.chart.element, this.buildActions(), this.factPart, this.alertPart, this.packetPart, all);
    this.loadPackets();
  }

  /** A line for each field, hidden where it has no value. */
  buildFields() {
    this.lines = [];
    const sections = this.fields.groups().map(([group, fields]) => {
      const rows = fields.map((field) => {
        const value = h('bdi', {});
        const row = h('div', { class: 'field-row' }, h('dt', { title: visible(field.description ?? '', 400), text: visible(field.label ?? field.name, 60) }), h('dd', { class: isMono(field) ? 'mono' : '' }, value));
        const line = { field, row, value };
        this.lines.push(line);
        return row;
      });
      const heading = h('h3', { text: visible(group, 60) });
      return h('section', { class: 'field-group' }, heading, h('dl', { class: 'field-list' }, ...rows));
    });
    this.groups = sections;
    this.more = h('button', { type: 'button', class: 'link-button', 'aria-pressed': 'false', on: { click: () => this.toggleEmpty() } });
    return h('div', {}, h('div', { class: 'field-groups' }, ...sections), h('p', {}, this.more));
  }

  toggleEmpty() {
    this.withEmpty = !this.withEmpty;
    setAttr(this.more, 'aria-pressed', String(this.withEmpty));
    this.updateFields();
  }

  buildActions() {
    const { flow, fields, app } = this;
    const filter = filterOf(flow, fields);
    const why = whyNoDownload(app.store.hello);
    const capture = button('Download pcapng', () => download(app.url('api/v1/capture', { bpf: bpfOf(flow) }), 'flow.pcapng'), {
      class: 'button', disabled: why !== null, title: why ?? `Packets that the recorder holds: ${bpfOf(flow)}`,
    });
    const word = (name) => fields.word(name);
    const side = (text, name) => (word(name) && flow[name] ? this.link(text, { view: 'flows', filter: term(word(name), flow[name]), id: null }) : null);
    return h('div', { class: 'actions' },
      app.store.hello?.has?.packets === false ? null : this.link('Packets now', { view: 'packets', filter: this.packetFilter() }, 'button primary'),
      capture, side('Flows of this server', 'server_ip'), side('Flows of this client', 'client_ip'), side('Same Community ID', 'community_id'),
      button('Copy as filter', () => copyText(app, filter), { title: visible(filter, 200) }),
      flow.community_id ? button('Copy Community ID', () => copyText(app, flow.community_id), { title: visible(flow.community_id, 80) }) : null);
  }

  /** Both ends, in the words that packets have, too: a single packet knows neither client nor server. */
  packetFilter() {
    const { flow } = this;
    const hosts = [flow.client_ip, flow.server_ip].filter(Boolean).map((ip) => term('host', ip));
    const ports = [flow.client_port, flow.server_port].filter(Boolean).map((port) => term('port', port));
    return [...hosts, ...ports, flow.protocol ? term('protocol', flow.protocol) : null].filter(Boolean).join(' ');
  }

  link(text, changes, className = 'button') {
    return h('a', { class: className || null, href: this.app.route.href(changes), text });
  }

  // Updating, in place

  update() {
    const { flow, answer } = this;
    const ends = `${endpoint(flow.client_ip, flow.client_port)} → ${endpoint(flow.server_ip, flow.server_port)}`;
    setText(this.title, visible(ends, 120));
    this.updateSub(flow, answer);
    this.updateTiles(flow);
    this.chart.set(answer.rates ?? []);
    const sentences = facts(flow);
    const text = JSON.stringify(sentences);
    if (text !== this.factText) {
      this.factText = text;
      this.facts.replaceChildren(...sentences.map(({ text: sentence, mark }) => h('li', { class: `fact is-${mark}` },
        h('span', { class: 'fact-mark', 'aria-hidden': 'true', text: { ok: '✓', note: '·', bad: '▲' }[mark] }), h('span', { text: sentence }))));
    }
    this.factPart.hidden = sentences.length === 0;
    this.updateAlerts(answer.alerts ?? []);
    this.updateFields();
  }

  updateSub(flow, answer) {
    const isLive = answer.state === 'live';
    const name = applicationOf(flow) ?? '';
    const state = String(flow.tcp_state ?? flow.flow_state ?? '').replace('_', ' ');
    const reason = flow.end_reason && !isLive ? `, ${sayValue({ name: 'end_reason' }, flow.end_reason)}` : '';
    const rest = isLive ? `live for ${duration(flow.duration_secs)}` : `ended ${when(flow.last_seen, Date.now() / 1000)}${reason}, after ${duration(flow.duration_secs)}`;
    if (!this.sub.firstChild) this.sub.append(h('span', { class: 'tag' }), h('span', {}), h('span', {}));
    const [tag, protocol, words] = this.sub.children;
    tag.className = `tag kind-${kindOf(name)}`;
    showText(tag, name, 30);
    showText(protocol, [flow.protocol && flow.protocol !== name ? flow.protocol : '', nameOf(flow)?.value ?? '', state].filter(Boolean).join(' · '), 120);
    words.className = isLive ? 'live-mark' : 'ended-mark';
    setText(words, rest);
    setAttr(words, 'title', `${iso(flow.first_seen)} to ${iso(flow.last_seen)} (UTC)`);
  }

  updateTiles(flow) {
    const share = retransmitted(flow);
    const trip = flow.rtt_server_ewma_ms ?? flow.rtt_ewma_ms;
    const directions = known(flow.rate_to_client_bps) ? `▼ ${bits(flow.rate_to_client_bps)}  ▲ ${bits(flow.rate_to_server_bps)}` : '';
    const rows = [
      ['Rate', bits(flow.rate_bps), directions],
      ['Volume', bytes(flow.bytes_total), known(flow.packets_total) ? plural(flow.packets_total, 'packet') : ''],
      ['Round trip', ms(trip), known(flow.rtt_client_ewma_ms) ? `server side, client side ${ms(flow.rtt_client_ewma_ms)}` : known(trip) ? `handshake ${ms(flow.handshake_rtt_ms)}` : 'only TCP tells'],
      ['Retransmitted', percent(share), share === null ? 'only TCP tells' : `${exact(flow.retransmissions)} packets, ${exact(flow.out_of_order)} out of order`],
    ];
    rows.forEach(([label, value, more], index) => {
      const tile = this.tiles[index];
      setText(tile.label, label);
      setText(tile.value, value);
      setText(tile.more, more);
    });
    this.tiles[3].value.classList.toggle('is-bad', share !== null && share >= 0.01);
  }

  updateAlerts(ids) {
    this.alertPart.hidden = ids.length === 0;
    const text = ids.join();
    if (text === this.alertText) return;
    this.alertText = text;
    this.alertList.replaceChildren(...ids.slice(0, 10).map((id) => {
      const alert = this.app.store.alerts.get(id);
      const words = alert ? `${alert.kind.replace(/_/g, ' ')}: ${alert.description}` : id;
      return h('li', {}, alert ? h('span', { class: 'severity', 'data-severity': visible(alert.severity, 10), text: visible(alert.severity, 10) }) : null,
        this.link(visible(words, 160), { view: 'alerts', id }, ''));
    }));
  }

  updateFields() {
    let empty = 0;
    for (const { field, row, value } of this.lines) {
      const held = valueOf(this.flow, field.name);
      const isEmpty = held === null || held === undefined || held === '' || (Array.isArray(held) && held.length === 0);
      if (isEmpty) empty += 1;
      row.hidden = isEmpty && !this.withEmpty;
      if (row.hidden) continue;
      showText(value, sayValue(field, held), 400);
      const title = exactValue(field, held);
      if (title) setAttr(value, 'title', title);
    }
    for (const group of this.groups) group.hidden = ![...group.querySelectorAll('.field-row')].some((row) => !row.hidden);
    this.more.parentElement.hidden = empty === 0;
    setText(this.more, this.withEmpty ? `Hide ${exact(empty)} fields without a value` : `Show ${exact(empty)} fields without a value`);
  }

  /** The latest sampled packets, asked once: the view of packets shows them live. */
  async loadPackets() {
    this.packetPart.hidden = true;
    if (this.app.store.hello?.has?.packets === false) return;
    const { number } = this;
    try {
      const answer = await this.app.api('api/v1/packets', { filter: this.packetFilter(), limit: PACKETS_SHOWN });
      if (!this.flow || number > this.number || answer.packets.length === 0) return;
      this.packetPart.hidden = false;
      setText(this.packetNote, `latest ${answer.packets.length}`);
      this.packetList.replaceChildren(...answer.packets.map((packet) => h('li', {},
        h('span', { class: 'mono dim', title: `${iso(packet.ts)} (UTC)`, text: clock(packet.ts) }),
        h('span', { class: 'packet-way', text: String(packet.src).startsWith(String(this.flow.client_ip)) ? '→' : '←' }),
        this.link(visible(packet.info, 80), { view: 'packets', filter: this.packetFilter(), id: packet.id }, 'mono'))));
    } catch {
      this.packetPart.hidden = true; // Packets are an addition; the rest of the detail stands.
    }
  }
}
