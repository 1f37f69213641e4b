// The table of flows: rows from the server, values in place, a menu at each value.
//
// Owns the question to the server and its answers. Knows neither the address of the page nor the detail of a flow. Invariant:
// while a person points at the rows or moves in them, no row changes its place.

import { h, setText } from './dom.js';
import { copyText } from './elements.js';
import { endpoint, sayValue } from './flow_fields.js';
import { columnsOf, copyForm, fieldsAsked, rowText } from './flow_columns.js';
import { exact, plural, visible } from './format.js';
import { quoted, term } from './filter_language.js';
import { PanelState } from './panel_state.js';
import { openMenu } from './value_menu.js';
import { VirtualTable } from './virtual_table.js';
import { ROWS_MAX, RowWindow } from './row_window.js';

const ROW_HEIGHT = 34;
const CARD_HEIGHT = 84;
/** A refresh waits at least this many times as long as the last answer took. */
const REST = 2;
/** A question that had no answer is asked again after this time, unless the question itself was wrong. */
const RETRY_MS = 3000;

/** Options: fields, onOpen(flow), onActive(flow), onTerm(term), onSort(sort, order), onAll(), onAnswer(answer), onError(error).
 * onAll takes filter and scope away. */
export class FlowsTable {
  constructor(app, options) {
    this.app = app;
    this.options = options;
    this.question = null;
    this.refreshedAt = 0;
    this.rows = new RowWindow((offset, limit, snapshot) => this.fetch(offset, limit, snapshot), (flow) => flow.id, (...change) => this.changed(...change));
    this.table = new VirtualTable({
      label: 'Flows', rowHeight: ROW_HEIGHT, cardHeight: CARD_HEIGHT, columns: [], rowAt: (index) => this.rows.rowAt(index), keyOf: (flow) => flow.id,
      onOpen: options.onOpen, onActive: options.onActive, onMenu: (flow, column, cell) => this.menu(flow, column, cell),
      onSort: (column) => this.sortBy(column), onRange: (from, to) => this.rows.want(from, to), onHold: (isHeld) => this.hold(isHeld),
      rowClass: (flow) => (flow.state === 'ended' ? 'is-ended' : ''),
    });
    this.shown = h('span', {});
    this.note = h('span', { class: 'hold-note', hidden: true, text: 'Order held' , title: 'Rows keep their places while you point at them or move in them. Values go on.' });
    const keys = h('span', { class: 'keys-note' }, h('kbd', { text: '↑↓' }), ' move ', h('kbd', { text: 'Enter' }), ' details ', h('kbd', { text: '.' }), ' menu');
    this.state = new PanelState('table-empty');
    this.element = h('section', { class: 'panel table-panel', 'aria-label': 'Flows' },
      this.table.element, this.state.element, h('footer', { class: 'table-foot' }, this.shown, this.note, keys));
  }

  /** Asks another question: {filter, sort, order, scope, columns}. Nothing is asked where it is the same. */
  ask(question) {
    const before = this.question;
    if (before && JSON.stringify(before) === JSON.stringify(question)) return;
    this.question = question;
    if (before?.columns.join() !== question.columns.join()) {
      this.columns = columnsOf(question.columns, this.options.fields);
      this.table.setColumns(this.columns);
    }
    this.table.setSort(question.sort, question.order);
    this.element.classList.add('is-waiting');
    if (this.rows.rowAt(0) === undefined) this.state.loading('Loading flows');
    this.rows.restart();
  }

  fetch(offset, limit, snapshot) {
    const { filter, sort, order, scope } = this.question;
    const columns = fieldsAsked(this.columns, this.options.fields);
    this.refreshedAt = performance.now();
    return this.app.api('api/v1/flows', { filter: filter || null, sort, order, scope, columns, offset, limit, snapshot })
      .then((answer) => ({ rows: answer.flows, answer }));
  }

  changed(answer, error, isFirst) {
    this.isRefused = error?.status === 400;
    if (error) {
      this.element.classList.remove('is-waiting');
      this.options.onError(error);
      if (!this.isRefused && this.rows.rowAt(0) === undefined) this.state.failed('Flows cannot be read', error, () => this.again());
      return;
    }
    if (isFirst) {
      this.table.element.scrollTop = 0;
      this.app.announce(plural(answer.matched.flows, 'flow'));
      this.element.classList.remove('is-waiting');
    }
    const count = Math.min(answer.matched.flows, ROWS_MAX);
    if (answer.offset === 0) this.table.context.largestRate = Math.max(1, ...answer.flows.map((flow) => flow.rate_bps ?? 0));
    this.table.setCount(count);
    this.table.refresh();
    const more = answer.matched.flows > ROWS_MAX ? `, of which the first ${exact(ROWS_MAX)} can be shown` : '';
    setText(this.shown, `${plural(answer.matched.flows, 'flow')}${more}`);
    if (answer.matched.flows === 0) this.sayEmpty();
    else this.state.ready();
    this.options.onAnswer(answer);
  }

  sayEmpty() {
    const { filter, scope } = this.question;
    const what = filter ? 'No flow fits this filter' : scope === 'all' ? 'There is no flow yet' : `There is no flow that is ${scope}`;
    const way = filter || scope !== 'all' ? { text: 'Show all flows', run: () => this.options.onAll() } : null;
    this.state.nothing(what, filter ? 'New flows appear here as soon as they fit.' : 'Flows appear here with their first packet.', way);
  }

  /** Says why there are no rows, where there are none. */
  sayFault(title, text) {
    if (this.rows.rowAt(0) === undefined) this.state.nothing(title, text, { text: 'Show all flows', run: () => this.options.onAll() });
  }

  /** Asks the same once more. */
  again() {
    if (this.rows.rowAt(0) === undefined) this.state.loading('Loading flows');
    this.refreshedAt = performance.now();
    this.rows.restart();
  }

  /** A tick has passed: values are asked for again, unless the server needs its time. */
  tick() {
    const passed = performance.now() - this.refreshedAt;
    if (!this.question || this.isRefused) return;
    if (this.rows.isOld) {
      if (this.rows.waiting.size === 0 && passed >= RETRY_MS) this.rows.restart();
    } else if (passed >= Math.max(900, (this.rows.tookMs ?? 0) * REST)) this.rows.refresh();
  }

  hold(isHeld) {
    this.rows.isHeld = isHeld;
    this.note.hidden = !isHeld;
    if (!isHeld) this.rows.refresh();
  }

  sortBy(column) {
    const { sort, order } = this.question;
    const isSame = sort === column.sort;
    const first = column.align === 'end' ? 'desc' : 'asc';
    this.options.onSort(column.sort, isSame ? (order === 'desc' ? 'asc' : 'desc') : first);
  }

  select(id) {
    this.table.select(id);
  }

  menu(flow, column, cell) {
    const groups = column.parts(flow, this.options.fields).map((part) => this.partGroup(part)).filter(Boolean);
    const text = column.text(flow);
    const rest = [
      { label: 'Details of this flow', run: () => this.options.onOpen(flow) },
      ...(groups.length === 0 && text ? [{ label: 'Copy value', detail: visible(text, 28), run: () => copyText(this.app, text) }] : []),
      { label: 'Copy row', run: () => copyText(this.app, rowText(this.columns, flow)) },
    ];
    openMenu(cell.querySelector('.is-value') ?? cell, `${column.label}: ${visible(text, 60)}`, [...groups, { items: rest }]);
  }

  partGroup({ name, value }) {
    const field = this.options.fields.get(name) ?? { name, label: name, filter_word: null };
    const word = field.filter_word;
    const items = [];
    const isNumber = typeof value === 'number' && field.unit;
    if (word && isNumber) {
      items.push({ label: 'At least this', run: () => this.options.onTerm(`${word}:>=${value}`) }, { label: 'At most this', run: () => this.options.onTerm(`${word}:<=${value}`) });
    } else if (word) {
      const values = (Array.isArray(value) ? value : [value]).map((one) => (one && typeof one === 'object' ? endpoint(one.ip, one.port) : one));
      for (const one of values.slice(0, 4)) {
        items.push({ label: 'Only this', detail: visible(`${word}:${quoted(one)}`, 40), run: () => this.options.onTerm(term(word, one)) });
        items.push({ label: 'Not this', detail: visible(`!${word}:${quoted(one)}`, 40), run: () => this.options.onTerm(term(word, one, true)) });
      }
    }
    items.push({ label: 'Copy', run: () => copyText(this.app, copyForm(value)) });
    return { title: field.label, value: sayValue(field, value), items };
  }

  leave() {
    this.rows.clear();
    this.table.leave();
  }
}
