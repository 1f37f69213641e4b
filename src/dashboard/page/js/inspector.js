// One packet: its layers as a tree, its bytes as hex and text, each showing where it is in the other.
//
// Owns both and what is marked in them. Knows no list. Invariants: at most BYTES_MAX bytes become elements; a field without bytes of
// its own marks none.

import { h, setAttr, setText } from './dom.js';
import { button, copyText } from './elements.js';
import { visible } from './format.js';
import { PanelState } from './panel_state.js';

/** Bytes that are shown; the rest is said. */
const BYTES_MAX = 1536;
const ROW = 16;
const FIELDS_MAX = 400;
const LAYERS_MAX = 40;

const hexOf = (number, digits) => number.toString(16).padStart(digits, '0');
const isShown = (byte) => byte >= 0x20 && byte < 0x7f;

/** The bytes of `packet_detail`: hex digits to numbers. */
export function bytesOf(hex) {
  const bytes = new Uint8Array(Math.min(BYTES_MAX, Math.floor((hex ?? '').length / 2)));
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}

/** Options: onClose(). */
export class Inspector {
  constructor(app, options) {
    this.app = app;
    this.title = h('h2', { text: 'Packet' });
    this.note = h('span', { class: 'dim cut' });
    this.tree = h('div', {
      class: 'layers', role: 'tree', 'aria-label': 'Layers and fields', tabindex: '0',
      on: { keydown: (event) => this.treeKey(event), click: (event) => this.treeClick(event), pointerover: (event) => this.treeHover(event), pointerleave: () => this.hover(null), focus: () => this.pointItem() },
    });
    this.hex = h('div', {
      class: 'hex mono', role: 'grid', 'aria-label': 'Bytes', tabindex: '0', 'aria-readonly': 'true',
      on: { keydown: (event) => this.hexKey(event), click: (event) => this.hexClick(event), pointerover: (event) => this.hexHover(event), pointerleave: () => this.hover(null), focus: () => this.pointByte() },
    });
    this.status = h('p', { class: 'hex-status', role: 'status' });
    this.copy = button('Copy bytes', () => copyText(app, this.detail?.bytes ?? ''), { class: 'button quiet' });
    this.flowLink = h('a', { class: 'button quiet', text: 'Its flow', hidden: true });
    this.body = h('div', { class: 'inspector-body' }, this.tree, h('div', { class: 'hex-side' }, this.hex, this.status));
    this.body.hidden = true;
    this.state = new PanelState();
    const close = button('×', options.onClose, { class: 'icon-button is-close', 'aria-label': 'Close the packet', title: 'Close (Escape)' });
    this.element = h('section', { class: 'panel inspector', 'aria-label': 'Packet' },
      h('header', { class: 'panel-head' }, this.title, this.note, this.flowLink, this.copy, close), this.body, this.state.element);
    this.clear();
  }

  clear() {
    this.items = []; // of the tree, in order: {element, layer, offset, len, isLayer, isOpen}
    this.cells = [];
    this.bytes = new Uint8Array(0);
    this.item = -1;
    this.byte = 0;
    this.detail = null;
  }

  /** Shows that a packet is being fetched. */
  wait(id) {
    setText(this.title, `Packet ${id}`);
    this.element.classList.add('is-waiting');
    if (this.body.hidden) this.state.loading('Loading this packet');
  }

  /** Says why there is nothing to show. */
  say(title, text) {
    this.empty();
    this.state.nothing(title, text);
  }

  /** The packet could not be read; `again` asks once more. */
  fail(error, again) {
    this.empty();
    this.state.failed('This packet cannot be read', error, again);
  }

  empty() {
    this.clear();
    this.element.classList.remove('is-waiting');
    this.body.hidden = true;
    this.copy.hidden = true;
    this.flowLink.hidden = true;
    setText(this.note, '');
  }

  /** Shows a `packet_detail`; `packet` is its line in the list, if it is there. */
  show(detail, packet) {
    this.clear();
    this.detail = detail;
    this.element.classList.remove('is-waiting');
    this.body.hidden = false;
    this.state.ready();
    this.copy.hidden = !detail.bytes;
    const flow = packet?.flow ?? null;
    this.flowLink.hidden = !flow;
    if (flow) setAttr(this.flowLink, 'href', this.app.route.href({ view: 'flow', id: flow }));
    setText(this.title, `Packet ${detail.id}`);
    const cut = detail.captured < detail.len ? `${detail.captured} of ${detail.len} bytes kept` : `${detail.len} bytes`;
    setText(this.note, cut);
    this.bytes = bytesOf(detail.bytes);
    this.drawTree(detail.layers.slice(0, LAYERS_MAX));
    this.drawBytes();
    this.status.textContent = 'Point at a field or a byte.';
  }

  // The tree

  drawTree(layers) {
    let fields = 0;
    const nodes = layers.map((layer) => {
      const item = this.newItem(layer.name, null, layer.offset, layer.len, 1);
      item.isLayer = true;
      item.isOpen = true;
      const children = layer.fields.slice(0, Math.max(0, FIELDS_MAX - fields)).map(([name, value, offset, len]) => {
        const child = this.newItem(name, value, offset, len, 2);
        child.layer = item;
        return child.element;
      });
      fields += children.length;
      item.group = h('div', { role: 'group', class: 'layer-fields' }, ...children);
      item.element.append(item.group);
      setAttr(item.element, 'aria-expanded', 'true');
      return item.element;
    });
    this.tree.replaceChildren(...nodes);
    this.tree.scrollTop = 0;
  }

  newItem(name, value, offset, len, level) {
    const index = this.items.length;
    const line = h('div', { class: 'item-line', 'data-item': index },
      level === 1 ? h('span', { class: 'twist', 'aria-hidden': 'true', text: '▾' }) : null,
      h('span', { class: 'item-name', text: visible(name, 60) }),
      value === null ? h('span', { class: 'item-size', text: Number.isInteger(len) ? `${len} B` : '' }) : h('bdi', { class: 'item-value mono', text: visible(value, 300) }));
    const element = h('div', { role: 'treeitem', 'aria-level': level, 'aria-selected': 'false', id: `layer-item-${index}`, class: level === 1 ? 'layer' : 'layer-field' }, line);
    const item = { element, line, name, value, offset, len, layer: null, isLayer: false, isOpen: false };
    this.items.push(item);
    return item;
  }

  isVisible(item) {
    return item.isLayer || item.layer.isOpen;
  }

  toggle(item, isOpen) {
    item.isOpen = isOpen;
    item.group.hidden = !isOpen;
    setAttr(item.element, 'aria-expanded', String(isOpen));
    setText(item.line.querySelector('.twist'), isOpen ? '▾' : '▸');
  }

  itemOf(event) {
    const line = event.target.closest?.('[data-item]');
    return line ? Number(line.dataset.item) : -1;
  }

  treeClick(event) {
    const index = this.itemOf(event);
    if (index < 0) return;
    const item = this.items[index];
    if (item.isLayer && event.target.closest('.twist')) this.toggle(item, !item.isOpen);
    this.select(index, null);
  }

  treeHover(event) {
    const index = this.itemOf(event);
    this.hover(index < 0 ? null : this.items[index]);
  }

  treeKey(event) {
    const seen = this.items.map((item, index) => [item, index]).filter(([item]) => this.isVisible(item)).map(([, index]) => index);
    if (seen.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Math.max(0, seen.indexOf(this.item));
    const item = this.items[seen[at]];
    let to = { ArrowDown: this.item < 0 ? 0 : at + 1, ArrowUp: at - 1, Home: 0, End: seen.length - 1 }[event.key];
    if (event.key === 'ArrowRight' && item.isLayer) {
      if (item.isOpen) to = at + 1;
      else this.toggle(item, true);
    } else if (event.key === 'ArrowLeft') {
      if (item.isLayer) this.toggle(item, false);
      else to = seen.indexOf(this.items.indexOf(item.layer));
    } else if (to === undefined) return;
    event.preventDefault();
    if (to !== undefined) this.select(seen[Math.max(0, Math.min(seen.length - 1, to))], null);
  }

  // The bytes

  drawBytes() {
    const rows = [];
    this.cells = [];
    for (let start = 0; start < this.bytes.length; start += ROW) {
      const row = h('div', { class: 'hex-row', role: 'row' }, h('span', { class: 'hex-offset', role: 'rowheader', text: hexOf(start, 4) }));
      const text = h('span', { class: 'hex-text', role: 'presentation' });
      for (let index = start; index < Math.min(start + ROW, this.bytes.length); index += 1) {
        const byte = this.bytes[index];
        const cell = h('span', { class: index % 8 === 0 && index % ROW ? 'hex-byte is-half' : 'hex-byte', role: 'gridcell', id: `hex-byte-${index}`, 'data-byte': index, text: hexOf(byte, 2) });
        const letter = h('span', { class: isShown(byte) ? 'hex-letter' : 'hex-letter is-other', 'data-byte': index, 'aria-hidden': 'true', text: isShown(byte) ? String.fromCharCode(byte) : '·' });
        this.cells.push([cell, letter]);
        row.append(cell);
        text.append(letter);
      }
      for (let index = this.bytes.length; index < start + ROW; index += 1) row.append(h('span', { class: index % 8 === 0 && index % ROW ? 'hex-byte is-half' : 'hex-byte', 'aria-hidden': 'true', role: 'presentation', text: '\u00a0\u00a0' }));
      row.append(text);
      rows.push(row);
    }
    const total = Math.floor((this.detail.bytes ?? '').length / 2);
    if (total > this.bytes.length) rows.push(h('div', { role: 'row', class: 'hex-rest' }, h('span', { role: 'gridcell', text: `${total - this.bytes.length} more bytes are not shown; Copy bytes has them.` })));
    if (total === 0) rows.push(h('div', { role: 'row', class: 'hex-rest' }, h('span', { role: 'gridcell', text: 'No bytes of this packet were kept.' })));
    this.hex.replaceChildren(...rows);
    this.hex.scrollTop = 0;
  }

  byteOf(event) {
    const cell = event.target.closest?.('[data-byte]');
    return cell ? Number(cell.dataset.byte) : -1;
  }

  hexClick(event) {
    const byte = this.byteOf(event);
    if (byte >= 0) this.selectByte(byte);
  }

  hexHover(event) {
    const byte = this.byteOf(event);
    this.hover(byte < 0 ? null : (this.items[this.itemAt(byte)] ?? null));
  }

  hexKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.bytes.length === 0) return;
    const row = this.byte - (this.byte % ROW);
    const to = {
      ArrowRight: this.byte + 1, ArrowLeft: this.byte - 1, ArrowDown: this.byte + ROW, ArrowUp: this.byte - ROW, Home: row, End: row + ROW - 1,
      PageDown: this.byte + ROW * 8, PageUp: this.byte - ROW * 8,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.selectByte(Math.max(0, Math.min(this.bytes.length - 1, to)));
  }

  /** The smallest field or layer that has this byte, -1 without one. */
  itemAt(byte) {
    let best = -1;
    this.items.forEach((item, index) => {
      const isIn = Number.isInteger(item.offset) && byte >= item.offset && byte < item.offset + item.len;
      const size = best < 0 ? Infinity : this.items[best].len;
      if (isIn && (item.len < size || (item.len === size && !item.isLayer))) best = index;
    });
    return best;
  }

  selectByte(byte) {
    this.byte = byte;
    const index = this.itemAt(byte);
    if (index >= 0) this.select(index, byte);
    else {
      this.mark('is-selected', null);
      this.sayByte(byte, null);
    }
    this.pointByte();
  }

  // What is marked in both

  select(index, byte) {
    const item = this.items[index];
    this.items[this.item]?.element.setAttribute('aria-selected', 'false');
    this.item = index;
    if (item.layer && !item.layer.isOpen) this.toggle(item.layer, true);
    setAttr(item.element, 'aria-selected', 'true');
    item.line.scrollIntoView({ block: 'nearest' });
    this.mark('is-selected', item);
    if (byte === null && Number.isInteger(item.offset)) {
      this.byte = Math.min(item.offset, Math.max(0, this.bytes.length - 1));
      this.cells[this.byte]?.[0].scrollIntoView({ block: 'nearest' });
    }
    this.sayByte(byte, item);
    this.pointItem();
  }

  hover(item) {
    this.mark('is-hovered', item);
    this.items.forEach((other) => other.line.classList.toggle('is-hovered', other === item));
  }

  mark(name, item) {
    const from = Number.isInteger(item?.offset) ? item.offset : 0;
    const end = Number.isInteger(item?.offset) ? item.offset + item.len : 0;
    this.cells.forEach((pair, index) => pair.forEach((cell) => cell.classList.toggle(name, index >= from && index < end)));
  }

  sayByte(byte, item) {
    const place = byte === null ? null : `byte ${byte} (0x${hexOf(byte, 2)}) is 0x${hexOf(this.bytes[byte], 2)}, ${this.bytes[byte]}`;
    const range = Number.isInteger(item?.offset) ? (item.len === 1 ? `byte ${item.offset}` : `bytes ${item.offset} to ${item.offset + item.len - 1}`) : 'no bytes of its own';
    const field = item ? `${item.layer ? `${visible(item.layer.name, 40)}, ` : ''}${visible(item.name, 60)}${item.value === null ? '' : `: ${visible(item.value, 120)}`} (${range})` : 'in no field';
    setText(this.status, place ? `${place} · ${field}` : field);
  }

  pointItem() {
    setAttr(this.tree, 'aria-activedescendant', this.item >= 0 ? `layer-item-${this.item}` : null);
  }

  pointByte() {
    this.hex.querySelector('.is-active')?.classList.remove('is-active');
    const cell = this.cells[this.byte]?.[0];
    cell?.classList.add('is-active');
    cell?.scrollIntoView({ block: 'nearest' });
    setAttr(this.hex, 'aria-activedescendant', cell?.id ?? null);
  }
}
