// The packets view: sampled packets as they come, one of them in the inspector, the recorder's packets as a file.
//
// Owns the subscription and how list and inspector stand together. The address has filter, bpf and id. Knows no drawing. Invariants:
// the list holds at most PACKETS_MAX packets; the subscription ends when the view is left.

import { h, setAttr, setText } from '../dom.js';
import { button, copyText } from '../elements.js';
import { FilterBox } from '../filter_box.js';
import { term, withTerm } from '../filter_language.js';
import { count, exact, visible } from '../format.js';
import { Inspector } from '../inspector.js';
import { PACKET_COLUMNS } from '../packet_columns.js';
import { PACKETS_MAX, PacketBuffer } from '../packet_buffer.js';
import { PacketDownload } from '../packet_download.js';
import { PanelState } from '../panel_state.js';
import { closeMenu, openMenu } from '../value_menu.js';
import { VirtualTable } from '../virtual_table.js';

const ROW_HEIGHT = 28;
const CARD_HEIGHT = 66;
const FIRST_MAX = 500;
const SAMPLED_EVERY_MS = 3000;
/** The share of sampled packets is of so many answers. */
const SAMPLES_MAX = 5;

class PacketsView {
  constructor(root, app) {
    this.app = app;
    this.buffer = new PacketBuffer();
    this.isFollowing = true;
    this.isPaused = false;
    this.inspected = null;
    this.samples = []; // of the count of sampled packets: {kept, at}
    this.number = 0;
    this.build(root);
    this.offHello = app.socket.on('hello', () => this.subscribe());
    this.offDetail = app.socket.on('packet_detail', (detail) => this.detail(detail));
    this.onKey = (event) => this.key(event);
    document.addEventListener('keydown', this.onKey);
    this.apply();
  }

  build(root) {
    const { app } = this;
    this.box = new FilterBox({
      app, label: 'Filter packets', placeholder: 'Filter packets, for example host:10.2.0.9 port:443', recentKey: 'packets', onSubmit: (filter) => app.route.set({ filter: filter || null }),
    });
    this.sampled = h('div', { class: 'totals', role: 'group', 'aria-label': 'What share of packets is shown' });
    this.box.summary.append(this.sampled);
    this.pauseButton = button('Pause', () => this.pause(!this.isPaused), { class: 'button pause-button', 'aria-pressed': 'false', title: 'Pause or go on (Space)' });
    this.clearButton = button('Clear', () => this.clear(), { class: 'button' });
    this.download = new PacketDownload(app, { onBpf: (bpf) => app.route.set({ bpf: bpf || null }, { replace: true }) });
    this.table = new VirtualTable({
      label: 'Sampled packets, newest last', rowHeight: ROW_HEIGHT, cardHeight: CARD_HEIGHT, columns: PACKET_COLUMNS, rowAt: (index) => this.buffer.at(index), keyOf: (packet) => packet.id,
      onOpen: (packet) => this.open(packet), onActive: (packet) => this.active(packet), onMenu: (packet, column, cell) => this.menu(packet, column, cell),
    });
    this.table.element.addEventListener('scroll', () => this.scrolled(), { passive: true });
    this.table.element.addEventListener('wheel', (event) => { if (event.deltaY < 0) this.follow(false); }, { passive: true });
    this.shown = h('span', {});
    this.newer = button('', () => this.toEnd(), { class: 'chip newer', hidden: true });
    const keys = h('span', { class: 'keys-note' }, h('kbd', { text: 'Space' }), ' pause ', h('kbd', { text: 'Enter' }), ' inspect ', h('kbd', { text: 'End' }), ' newest');
    this.state = new PanelState('table-empty');
    this.list = h('section', { class: 'panel table-panel', 'aria-label': 'Sampled packets' }, this.table.element, this.state.element, h('footer', { class: 'table-foot' }, this.shown, this.newer, keys));
    this.inspector = new Inspector(app, { onClose: () => this.close() });
    this.inspector.element.hidden = true;
    this.element = h('div', { class: 'packets-view' }, h('h1', { class: 'sr', text: 'Packets' }),
      h('div', { class: 'work-bar' }, this.box.element, h('div', { class: 'work-bar-rest' }, this.pauseButton, this.clearButton, this.download.element)), this.download.message,
      h('div', { class: 'packets-body' }, this.list, this.inspector.element));
    root.append(this.element);
  }

  param(name) {
    return this.app.route.params.get(name) ?? '';
  }

  /** Shows what the address says. */
  apply() {
    const filter = this.param('filter');
    this.download.set(this.param('bpf'));
    if (filter !== this.filter) {
      this.filter = filter;
      if (this.box.submitted !== filter) this.box.set(filter);
      this.clear();
      this.start();
    }
    const id = Number(this.param('id'));
    if (this.param('id') && Number.isSafeInteger(id)) this.inspect(id);
    else this.hideInspector();
  }

  /** Asks for what is there already, which also tells whether the filter is right, then for what comes. */
  async start() {
    this.number += 1;
    const { number } = this;
    this.isLoaded = false;
    if (this.buffer.count === 0) this.state.loading('Loading packets');
    try {
      const answer = await this.app.api('api/v1/packets', { filter: this.filter || null, limit: FIRST_MAX });
      if (number !== this.number) return;
      this.isLoaded = true;
      this.box.setError(null);
      this.add([...answer.packets].reverse());
      this.takeSampled(answer.sampled);
      this.subscribe();
    } catch (error) {
      if (number !== this.number) return;
      this.subscribe(false);
      if (error.code === 'bad_filter') {
        this.box.setError(error);
        this.state.nothing('The filter cannot be read', 'What is wrong with it stands below the filter.', this.wayOut());
      } else this.state.failed('Packets cannot be read', error, () => this.start());
    }
  }

  subscribe(isOn = true) {
    this.isSubscribed = isOn;
    this.app.socket.send({ type: 'subscribe', packets: isOn, filter: this.filter || null, bpf: null });
  }

  frame(message) {
    const packets = message.packets ?? [];
    if (packets.length > 0) {
      if (this.isPaused) this.buffer.hold(packets);
      else this.add(packets);
    }
    if (!this.sampled.textContent && !this.filter && packets.length > 0) this.saySampled((packets.length * 1000) / Math.max(1, message.tick.interval_ms));
    this.sayState();
    if (performance.now() - (this.sampledAt ?? 0) > SAMPLED_EVERY_MS) this.askSampled();
  }

  // The list

  add(packets) {
    this.grown(this.buffer.add(packets));
  }

  /** The buffer has changed; `gone` packets at its beginning are no longer there. */
  grown(gone) {
    const before = this.table.element.scrollTop;
    this.table.setCount(this.buffer.count);
    if (gone > 0) this.table.active.row = Math.max(0, this.table.active.row - gone);
    if (this.isFollowing) {
      this.table.active.row = Math.max(0, this.buffer.count - 1);
      this.table.toEnd();
    } else if (gone > 0) this.table.element.scrollTop = Math.max(0, before - gone * this.table.rowHeight);
    this.table.refresh();
    this.sayState();
  }

  sayState() {
    const { count: kept, missed } = this.buffer;
    setText(this.shown, kept >= PACKETS_MAX ? `latest ${exact(PACKETS_MAX)} packets` : `${exact(kept)} packets`);
    this.newer.hidden = this.isFollowing && !this.isPaused;
    setText(this.newer, this.isPaused ? `paused · ${exact(missed)} came meanwhile` : 'to the newest ↓');
    if (kept > 0) this.state.ready();
    else if (this.isLoaded) this.state.nothing(this.filter ? 'No sampled packet fits this filter yet' : 'No packet was sampled yet', 'Packets appear here as they are sampled.', this.wayOut());
  }

  wayOut() {
    return this.filter ? { text: 'Show all packets', run: () => this.app.route.set({ filter: null, id: null }) } : null;
  }

  clear() {
    this.buffer.clear();
    this.follow(true);
    this.grown(0);
  }

  follow(isFollowing) {
    if (this.isFollowing === isFollowing) return;
    this.isFollowing = isFollowing;
    this.sayState();
  }

  /** Whoever scrolls to the end follows again; not while a packet is inspected, which would scroll away. */
  scrolled() {
    const isAtEnd = this.table.isAtEnd();
    if (!isAtEnd) this.follow(false);
    else if (this.inspected === null) this.follow(true);
  }

  toEnd() {
    if (this.isPaused) this.pause(false);
    this.follow(true);
    this.table.toEnd();
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    setAttr(this.pauseButton, 'aria-pressed', String(isPaused));
    setText(this.pauseButton, isPaused ? 'Go on' : 'Pause');
    this.app.announce(isPaused ? 'Packets paused' : `Packets go on, ${this.buffer.missed} came meanwhile`);
    if (!isPaused) this.grown(this.buffer.release());
    this.sayState();
  }

  menu(packet, column, cell) {
    const groups = column.parts(packet).map(({ label, word, value }) => ({
      title: label, value: visible(value, 60), items: [
        { label: 'Only this', detail: visible(term(word, value), 40), run: () => this.addTerm(term(word, value)) },
        { label: 'Not this', detail: visible(term(word, value, true), 40), run: () => this.addTerm(term(word, value, true)) },
        { label: 'Copy', run: () => copyText(this.app, String(value)) },
      ],
    }));
    const line = [packet.id, packet.ts, packet.src, packet.dst, packet.protocol, packet.len, packet.app, packet.info].join('\t');
    openMenu(cell.querySelector('.is-value') ?? cell, 'Packet', [...groups, {
      items: [
        { label: 'Inspect', run: () => this.open(packet) }, { label: 'Copy line', run: () => copyText(this.app, line) },
        ...(packet.flow ? [{ label: 'Its flow', run: () => this.app.route.set({ view: 'flow', id: packet.flow }) }] : []),
      ],
    }]);
  }

  addTerm(added) {
    this.app.route.set({ filter: withTerm(this.filter, added), id: null });
  }

  // What share is sampled

  async askSampled() {
    this.sampledAt = performance.now();
    try {
      const answer = await this.app.api('api/v1/packets', { limit: 1 });
      this.takeSampled(answer.sampled);
    } catch {
      this.samples = []; // Said again with the next answers.
    }
  }

  takeSampled(sampled) {
    const now = performance.now();
    this.sampledAt = now;
    if (this.samples.length > 0 && sampled.kept < this.samples.at(-1).kept) this.samples = []; // another run of the server
    this.samples.push({ kept: sampled.kept, at: now });
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    const [before] = this.samples;
    setAttr(this.sampled, 'title', `${exact(sampled.kept)} of ${exact(sampled.seen)} packets since the start; the server keeps the latest ${exact(sampled.buffer)}`);
    if (now - before.at < 500) return;
    this.saySampled((sampled.kept - before.kept) / ((now - before.at) / 1000));
  }

  saySampled(rate) {
    const { tick } = this.app.store;
    const isAll = tick && rate >= tick.pps * 0.95;
    setText(this.sampled, isAll ? `every packet: ${count(rate)} a second` : `sampled: ${count(rate)} a second of ${count(tick?.pps)}`);
  }

  // The inspector

  open(packet) {
    this.follow(false);
    this.app.route.set({ id: packet.id });
  }

  active(packet) {
    this.follow(false);
    if (packet && this.param('id')) this.app.route.set({ id: packet.id }, { replace: true });
  }

  inspect(id) {
    if (this.inspected === id) return;
    this.inspected = id;
    this.inspector.element.hidden = false;
    this.element.classList.add('has-inspector');
    this.table.select(id);
    this.showRow(id);
    this.inspector.wait(id);
    this.askDetail(id);
  }

  /** The packet stays in sight when the inspector takes room from the list. */
  showRow(id) {
    const index = this.buffer.find(id);
    if (index < 0) return;
    this.follow(false);
    requestAnimationFrame(() => this.table.showRow(index));
  }

  async askDetail(id) {
    try {
      this.detail(await this.app.api(`api/v1/packets/${id}`));
    } catch (error) {
      if (error.status === 410 || error.status === 404) this.detail({ id, gone: true });
      else if (this.inspected === id) this.inspector.fail(error, () => { this.inspector.wait(id); this.askDetail(id); });
    }
  }

  detail(detail) {
    if (detail.id !== this.inspected) return;
    if (detail.gone) this.inspector.say('This packet has gone from the buffer', 'The server keeps the latest sampled packets alone. The recorder may still have it: download packets with a filter.');
    else this.inspector.show(detail, this.buffer.at(this.buffer.find(detail.id)));
  }

  hideInspector() {
    this.inspected = null;
    this.inspector.element.hidden = true;
    this.element.classList.remove('has-inspector');
    this.table.select(null);
  }

  close() {
    this.app.route.set({ id: null });
    this.table.focus();
  }

  key(event) {
    const isTyping = event.target.closest?.('input, textarea, select, button, a, summary, dialog, .menu');
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open], .menu')) return;
    if (event.key === ' ' && !isTyping) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.pause(!this.isPaused);
    } else if (event.key === 'Escape' && this.inspected !== null && event.target.tagName !== 'INPUT') this.close();
    else if (event.key === 'End' && event.target === this.table.element) this.toEnd();
  }

  leave() {
    this.number += 1;
    this.subscribe(false);
    closeMenu();
    document.removeEventListener('keydown', this.onKey);
    this.offHello();
    this.offDetail();
    this.box.leave();
    this.download.leave();
    this.table.leave();
    this.element.remove();
  }
}

export const view = {
  name: 'packets',
  title: 'Packets',
  uses_time: false,
  mount(root, app) {
    const packets = new PacketsView(root, app);
    return { frame: (message) => packets.frame(message), route: () => packets.apply(), leave: () => packets.leave() };
  },
};
