// A table of many rows with few elements: a fixed set of row elements is shown at the rows that can be seen, and reused.
//
// Owns rows on the screen, the active cell, the keyboard. Knows no data source: `rowAt(index)` gives what is known of a row,
// undefined where it is not there yet. Invariant: the number of elements depends on the height of the window alone.

import { h, setAttr } from './dom.js';
import { perFrame } from './elements.js';

const OVERSCAN = 6;
/** More rows than this would be taller than browsers can scroll. */
const ROWS_MAX = 100_000;

let tables = 0;

/**
 * Options: label, rowHeight (px), columns [{key, label, title, unit, sort, align, width (a grid track with px), class, render(cell, row, context)}],
 * rowAt(index), keyOf(row), onOpen(row, index), onMenu(row, column, cell, index), onSort(column), onRange(from, to),
 * rowClass(row), onHold(isHeld), cardHeight (px; rows as cards on narrow screens).
 */
export class VirtualTable {
  constructor(options) {
    this.options = options;
    this.id = `table-${(tables += 1)}`;
    this.columns = [];
    this.count = 0;
    this.context = {}; // what cells need to know of all rows
    this.pool = [];
    this.active = { row: 0, column: 0 };
    this.selected = null;
    this.held = { pointer: false, focus: false };
    this.draw = perFrame(() => this.paint());
    this.build();
    this.setColumns(options.columns ?? []);
  }

  build() {
    this.head = h('div', { class: 'vt-head', role: 'row', 'aria-rowindex': '1' });
    this.space = h('div', { class: 'vt-space', role: 'presentation' });
    this.body = h('div', { class: 'vt-body', role: 'rowgroup' }, this.space);
    this.scroller = h('div', {
      class: 'vt', role: 'grid', tabindex: '0', 'aria-label': this.options.label, id: this.id,
      on: {
        scroll: () => this.draw(), keydown: (event) => this.key(event), focusin: () => this.hold('focus', true),
        focusout: (event) => { if (!this.scroller.contains(event.relatedTarget)) this.hold('focus', false); },
      },
    }, h('div', { class: 'vt-headgroup', role: 'rowgroup' }, this.head), this.body);
    this.body.addEventListener('pointerenter', (event) => { if (event.pointerType === 'mouse') this.hold('pointer', true); });
    this.body.addEventListener('pointerleave', () => this.hold('pointer', false));
    this.body.addEventListener('click', (event) => this.click(event));
    this.body.addEventListener('contextmenu', (event) => this.contextMenu(event));
    this.element = this.scroller;
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.scroller);
  }

  get rowHeight() {
    return this.isCards() ? this.options.cardHeight : this.options.rowHeight;
  }

  /** Rows as cards: below the width where columns fit. */
  isCards() {
    return Boolean(this.options.cardHeight) && this.scroller.clientWidth > 0 && this.scroller.clientWidth < 560;
  }

  setColumns(columns) {
    this.columns = columns;
    this.active.column = Math.min(this.active.column, Math.max(0, columns.length - 1));
    this.scroller.style.setProperty('--vt-columns', columns.map((column) => column.width ?? 'minmax(90px, 1fr)').join(' '));
    const least = columns.reduce((sum, column) => sum + Number.parseInt(/\d+(?=px)/.exec(column.width ?? '90px')?.[0] ?? '90', 10), 0);
    this.scroller.style.setProperty('--vt-least', `${least}px`);
    setAttr(this.scroller, 'aria-colcount', columns.length);
    this.head.replaceChildren(...columns.map((column, index) => this.heading(column, index)));
    this.pool.forEach((row) => row.element.remove());
    this.pool = [];
    this.draw();
  }

  heading(column, index) {
    const content = [h('span', { class: 'vt-label', text: column.label }), column.unit ? h('span', { class: 'vt-unit', text: column.unit }) : null];
    const heading = h('div', {
      class: `vt-th ${column.align === 'end' ? 'is-end' : ''}`, role: 'columnheader', 'aria-colindex': index + 1, title: column.title ?? null,
    });
    if (column.sort && this.options.onSort) {
      const arrow = h('span', { class: 'vt-arrow', 'aria-hidden': 'true' });
      heading.append(h('button', { type: 'button', class: 'vt-sort', on: { click: () => this.options.onSort(column) } }, ...content, arrow));
    } else heading.append(h('span', { class: 'vt-sort is-plain' }, ...content));
    return heading;
  }

  /** Marks the sorted column: `order` is asc or desc. */
  setSort(sort, order) {
    this.columns.forEach((column, index) => {
      const heading = this.head.children[index];
      const isSorted = column.sort === sort;
      setAttr(heading, 'aria-sort', isSorted ? (order === 'asc' ? 'ascending' : 'descending') : null);
      const arrow = heading.querySelector('.vt-arrow');
      if (arrow) arrow.textContent = isSorted ? (order === 'asc' ? '▲' : '▼') : '';
    });
  }

  setCount(count) {
    this.count = Math.min(count, ROWS_MAX);
    setAttr(this.scroller, 'aria-rowcount', this.count + 1);
    this.active.row = Math.max(0, Math.min(this.active.row, this.count - 1));
    this.draw();
  }

  /** The row with this key is shown as selected. */
  select(key) {
    this.selected = key;
    this.draw();
  }

  /** Values have changed. */
  refresh() {
    this.draw();
  }

  leave() {
    this.draw.cancel();
    this.resize.disconnect();
  }

  /** Rows that can be seen: [first, end). */
  range() {
    const height = this.rowHeight;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - OVERSCAN);
    const end = Math.min(this.count, Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / height) + OVERSCAN);
    return [Math.min(first, Math.max(0, end)), end];
  }

  isAtEnd() {
    return this.scroller.scrollTop + this.scroller.clientHeight >= this.scroller.scrollHeight - this.rowHeight;
  }

  toEnd() {
    this.space.style.setProperty('height', `${this.count * this.rowHeight}px`);
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.draw();
  }

  // Drawing

  paint() {
    if (!this.scroller.isConnected) return;
    const cards = this.isCards();
    this.scroller.classList.toggle('is-cards', cards);
    const height = this.rowHeight;
    this.scroller.style.setProperty('--vt-row', `${height}px`);
    this.space.style.setProperty('height', `${this.count * height}px`);
    const [first, end] = this.range();
    while (this.pool.length < end - first) this.addRow();
    const size = this.pool.length;
    const used = new Set();
    for (let index = first; index < end; index += 1) {
      const row = this.pool[index % size];
      used.add(row);
      this.paintRow(row, index, height);
    }
    for (const row of this.pool) {
      if (!used.has(row) && row.index !== -1) {
        row.index = -1;
        row.element.hidden = true;
        row.element.removeAttribute('id');
      }
    }
    this.pointActive();
    if (this.options.onRange && end > first) this.options.onRange(first, end);
  }

  addRow() {
    const cells = this.columns.map((column, index) => h('div', {
      class: `vt-td ${column.align === 'end' ? 'is-end' : ''} ${column.class ?? ''}`, role: 'gridcell', 'aria-colindex': index + 1, 'data-key': column.key,
    }));
    const element = h('div', { class: 'vt-tr', role: 'row', hidden: true }, ...cells);
    const row = { element, cells, index: -1 };
    // A larger pool gives each row another place: all are placed anew.
    this.pool.forEach((other) => { other.index = -2; });
    this.pool.push(row);
    this.body.append(element);
  }

  paintRow(row, index, height) {
    const data = this.options.rowAt(index);
    const { element } = row;
    if (row.index !== index) {
      row.index = index;
      element.hidden = false;
      element.id = `${this.id}-row-${index}`;
      setAttr(element, 'aria-rowindex', index + 2);
      row.cells.forEach((cell, column) => { cell.id = `${this.id}-cell-${index}-${column}`; });
    }
    element.style.setProperty('transform', `translateY(${index * height}px)`);
    const isSelected = data !== undefined && this.selected !== null && this.options.keyOf(data) === this.selected;
    setAttr(element, 'aria-selected', isSelected ? 'true' : 'false');
    const extra = data === undefined ? 'is-empty' : (this.options.rowClass?.(data) ?? '');
    const name = `vt-tr ${index % 2 === 1 ? 'is-odd' : ''} ${isSelected ? 'is-selected' : ''} ${extra}`;
    if (element.className !== name) element.className = name;
    this.columns.forEach((column, at) => {
      const cell = row.cells[at];
      if (data === undefined) {
        if (cell.childNodes.length > 0) cell.replaceChildren();
      } else column.render(cell, data, this.context);
    });
  }

  pointActive() {
    const { row, column } = this.active;
    const isOn = document.activeElement === this.scroller;
    this.body.querySelector('.is-active')?.classList.remove('is-active');
    const cell = document.getElementById(`${this.id}-cell-${row}-${column}`);
    if (cell) cell.classList.add('is-active');
    setAttr(this.scroller, 'aria-activedescendant', isOn && cell ? cell.id : null);
  }

  // Pointer and keyboard

  hold(who, isHeld) {
    const before = this.isHeld();
    this.held[who] = isHeld;
    if (who === 'focus') this.draw();
    if (before !== this.isHeld()) this.options.onHold?.(this.isHeld());
  }

  isHeld() {
    return this.held.pointer || this.held.focus;
  }

  place(event) {
    const cell = event.target.closest?.('.vt-td');
    const row = cell && this.pool.find((entry) => entry.element === cell.parentElement);
    if (!row || row.index < 0) return null;
    const data = this.options.rowAt(row.index);
    return data === undefined ? null : { data, index: row.index, cell, column: row.cells.indexOf(cell) };
  }

  click(event) {
    const place = this.place(event);
    if (!place || event.defaultPrevented) return;
    if (String(document.getSelection()) !== '') return; // The person marks text.
    this.active = { row: place.index, column: place.column };
    // A card has no room to aim at a value: it opens, and a long press gives the menu.
    const value = this.isCards() ? null : event.target.closest('.is-value');
    if (value && this.options.onMenu) this.options.onMenu(place.data, this.columns[place.column], place.cell, place.index);
    else this.options.onOpen?.(place.data, place.index);
    this.draw();
  }

  contextMenu(event) {
    const place = this.place(event);
    if (!place || !this.options.onMenu || event.shiftKey) return;
    event.preventDefault();
    this.active = { row: place.index, column: place.column };
    this.options.onMenu(place.data, this.columns[place.column], place.cell, place.index);
  }

  key(event) {
    if (event.target !== this.scroller || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor((this.scroller.clientHeight - this.rowHeight) / this.rowHeight) - 1);
    const { row, column } = this.active;
    const last = this.columns.length - 1;
    const moves = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      PageDown: [row + page, column], PageUp: [row - page, column], j: [row + 1, column], k: [row - 1, column],
      Home: event.ctrlKey ? [0, column] : [row, 0], End: event.ctrlKey ? [this.count - 1, column] : [row, last],
    };
    const data = this.options.rowAt(row);
    if (event.key in moves && !(event.ctrlKey && event.key.length === 1)) {
      event.preventDefault();
      this.moveTo(...moves[event.key]);
    } else if (event.key === 'Enter' && data !== undefined) {
      event.preventDefault();
      this.options.onOpen?.(data, row);
    } else if ((event.key === '.' || event.key === 'ContextMenu' || (event.shiftKey && event.key === 'F10')) && data !== undefined && this.options.onMenu) {
      event.preventDefault();
      const cell = document.getElementById(`${this.id}-cell-${row}-${column}`);
      this.options.onMenu(data, this.columns[column], cell, row);
    }
  }

  moveTo(row, column) {
    const to = Math.max(0, Math.min(this.count - 1, row));
    this.active = { row: to, column: Math.max(0, Math.min(this.columns.length - 1, column)) };
    this.showRow(to);
    this.options.onActive?.(this.options.rowAt(to), to);
    this.draw();
  }

  /** Scrolls as little as is needed to show a row. */
  showRow(index) {
    const height = this.rowHeight;
    const head = this.head.offsetHeight;
    const top = index * height;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + height + head > scrollTop + clientHeight) this.scroller.scrollTop = top + height + head - clientHeight;
  }

  focus() {
    this.scroller.focus({ preventScroll: true });
  }
}
