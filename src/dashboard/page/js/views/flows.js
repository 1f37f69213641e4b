// The flows view: a filter, the link's traffic over time, the table or the Sankey diagram, the detail beside it.
//
// Owns how these stand together and what the address says of them: filter, sort, order, columns, scope, show, id. Knows no drawing.
// Invariant: everything that was chosen is in the address, so a reload and the back button show the same.

import { openColumnsDialog } from '../columns_dialog.js';
import { h } from '../dom.js';
import { FlowDetail } from '../flow_detail.js';
import { loadFields } from '../flow_fields.js';
import { columnsOf, defaultColumns, fieldsExported } from '../flow_columns.js';
import { FlowsBar } from '../flows_bar.js';
import { FlowsGraph } from '../flows_graph.js';
import { FlowsTable } from '../flows_table.js';
import { withTerm } from '../filter_language.js';
import { HistoryStrip } from '../history_strip.js';
import { visible } from '../format.js';
import { PanelState } from '../panel_state.js';
import { closeMenu } from '../value_menu.js';

/** Below this width the detail is a view of its own. */
const PANE_MIN = '(min-width: 900px)';
const FOLLOW_MS = 120;
const STRIP_POINTS = 300;
const EXPORT_MAX = 10_000;
const LEAST_POINTS = 3;

class FlowsView {
  constructor(root, app) {
    this.app = app;
    this.wide = matchMedia(PANE_MIN);
    this.points = { times: [], mean: [], peak: [] };
    const set = (changes, options) => app.route.set(changes, options);
    this.bar = new FlowsBar(app, {
      onFilter: (filter) => set({ filter: filter || null }), onScope: (scope) => set({ scope: scope === 'all' ? null : scope }),
      onShow: (show) => set({ show: show === 'table' ? null : show }), onColumns: () => this.chooseColumns(), exportUrl: (format) => this.exportUrl(format),
    });
    this.strip = new HistoryStrip({ onSelect: (from, to) => app.time.set(from === null ? { live: true } : { from, to }) });
    this.main = h('div', { class: 'flows-main' }, this.strip.element);
    this.pane = h('aside', { class: 'pane panel', 'aria-label': 'Details of a flow', hidden: true });
    this.body = h('div', { class: 'flows-body' }, this.main, this.pane);
    this.problem = h('div', { class: 'problem', role: 'alert', hidden: true });
    this.state = new PanelState('panel table-panel');
    this.element = h('div', { class: 'flows-view' }, h('h1', { class: 'sr', text: 'Flows' }), this.bar.element, this.problem, this.body);
    root.append(this.element);
    this.onKey = (event) => this.key(event);
    document.addEventListener('keydown', this.onKey);
    this.offHistory = app.store.on('history', () => this.drawStrip());
    this.offTime = app.time.on(() => { this.ask(); this.drawStrip(); });
    this.drawStrip();
    this.start();
  }

  async start() {
    clearTimeout(this.retry);
    if (!this.state.element.isConnected) this.main.append(this.state.element);
    if (this.state.kind !== 'failed') this.state.loading('Loading flows');
    try {
      this.fields = await loadFields(this.app);
    } catch (error) {
      if (this.isLeft) return;
      this.state.failed('Flows cannot be read', error, () => this.start());
      this.retry = setTimeout(() => this.start(), 3000);
      return;
    }
    if (this.isLeft || this.table) return;
    this.state.element.remove();
    this.table = new FlowsTable(this.app, {
      fields: this.fields, onOpen: (flow) => this.open(flow), onActive: (flow) => this.follow(flow), onTerm: (term) => this.addTerm(term), onAll: () => this.showAll(),
      onSort: (sort, order) => this.app.route.set({ sort: sort === 'rate' ? null : sort, order: order === 'desc' ? null : order }),
      onAnswer: (answer) => this.answered(answer), onError: (error) => this.showError(error),
    });
    this.apply();
  }

  // What the address says

  param(name) {
    return this.app.route.params.get(name) ?? '';
  }

  columnKeys() {
    const keys = this.param('columns').split(',').filter(Boolean);
    return keys.length > 0 ? keys : defaultColumns(this.fields);
  }

  /** Shows what the address says. */
  apply() {
    if (!this.table) return;
    if (this.bar.box.submitted !== this.param('filter')) this.bar.box.set(this.param('filter'));
    if (this.param('focus') === 'filter') {
      this.bar.box.focus();
      this.app.route.set({ focus: null }, { replace: true });
      return;
    }
    this.bar.scope.show(this.param('scope') || 'all');
    const isGraph = this.param('show') === 'sankey';
    this.bar.show.show(isGraph ? 'sankey' : 'table');
    this.bar.columns.hidden = isGraph;
    this.showPart(isGraph);
    this.ask();
    this.showPane(this.param('id'));
    this.drawStrip();
  }

  showPart(isGraph) {
    if (isGraph && !this.graph) this.graph = new FlowsGraph(this.app, { onTerm: (term) => this.addTerm(term), onAll: () => this.showAll(), onError: (error) => this.showError(error) });
    if (!isGraph && this.graph) {
      this.graph.leave();
      this.graph.element.remove();
      this.graph = null;
    }
    const part = isGraph ? this.graph.element : this.table.element;
    const other = isGraph ? this.table.element : null;
    other?.remove();
    if (!part.isConnected) this.main.append(part);
  }

  /** The filter in force: the one in the box, and the time that is selected. */
  filter() {
    const { time } = this.app;
    const filter = this.param('filter');
    const [first, last] = [this.fields.word('first_seen'), this.fields.word('last_seen')];
    if (time.live || !first || !last) return filter;
    return withTerm(withTerm(filter, `${first}:<=${Math.ceil(time.to)}`), `${last}:>=${Math.floor(time.from)}`);
  }

  ask() {
    if (!this.table) return;
    this.graph?.ask(this.filter(), this.param('scope') || 'all');
    this.table.ask({
      filter: this.filter(), sort: this.param('sort') || 'rate', order: this.param('order') === 'asc' ? 'asc' : 'desc', scope: this.param('scope') || 'all',
      columns: this.columnKeys(),
    });
  }

  exportUrl(format) {
    const { sort, order, scope } = this.table.question;
    const columns = fieldsExported(columnsOf(this.columnKeys(), this.fields), this.fields);
    return this.app.url('api/v1/flows', { filter: this.filter() || null, sort, order, scope, columns, limit: EXPORT_MAX, format });
  }

  // What a person does

  addTerm(term) {
    this.app.route.set({ filter: withTerm(this.param('filter'), term), id: null });
  }

  /** The way out of a filter that nothing fits. */
  showAll() {
    this.app.route.set({ filter: null, scope: null, from: null, to: null, id: null });
  }

  open(flow) {
    if (this.wide.matches) this.app.route.set({ id: flow.id });
    else this.app.route.set({ view: 'flow', id: flow.id });
  }

  /** With the detail open, it follows the row that the keyboard is on. */
  follow(flow) {
    clearTimeout(this.following);
    if (!flow || !this.param('id') || !this.wide.matches) return;
    this.following = setTimeout(() => this.app.route.set({ id: flow.id }, { replace: true }), FOLLOW_MS);
  }

  chooseColumns() {
    if (!this.fields) return;
    openColumnsDialog(this.fields, columnsOf(this.columnKeys(), this.fields).map((column) => column.key), (keys) => {
      const isDefault = keys.join() === defaultColumns(this.fields).join();
      this.app.route.set({ columns: isDefault ? null : keys.join(',') });
    });
  }

  key(event) {
    if (event.key !== 'Escape' || event.defaultPrevented || this.pane.hidden || document.querySelector('dialog[open], .menu')) return;
    this.closePane();
  }

  closePane() {
    this.app.route.set({ id: null });
    this.table?.table.focus();
  }

  showPane(id) {
    const isShown = Boolean(id) && this.wide.matches;
    this.pane.hidden = !isShown;
    this.body.classList.toggle('has-pane', isShown);
    this.table?.select(isShown ? id : null);
    if (!isShown) {
      this.detail?.leave();
      this.detail = null;
      this.pane.replaceChildren();
      return;
    }
    if (!this.detail) {
      this.detail = new FlowDetail(this.app, this.fields, { onClose: () => this.closePane() });
      this.pane.append(this.detail.element);
    }
    this.detail.show(id);
  }

  // What the server says

  answered(answer) {
    this.problem.hidden = true;
    this.bar.totals.hidden = false;
    this.bar.showTotals(answer);
  }

  showError(error) {
    if (error.code === 'bad_filter') {
      this.bar.box.setError(error);
      this.bar.totals.hidden = true;
      this.table?.sayFault('The filter cannot be read', 'What is wrong with it stands below the filter.');
      return;
    }
    // Without rows the panel itself says it, with a way on.
    const part = this.param('show') === 'sankey' ? this.graph?.state : this.table?.state;
    this.problem.hidden = part?.kind === 'failed' || part?.kind === 'loading';
    this.problem.replaceChildren(h('b', { text: 'Flows cannot be read now. ' }), h('span', { text: `${visible(error.message, 300)}. What you see is older.` }));
  }

  drawStrip() {
    const { time, store } = this.app;
    const now = store.now?.() ?? Date.now() / 1000;
    const span = time.live ? time.span : Math.max(300, (time.to - time.from) * 4);
    const to = time.live ? now : Math.min(now, time.to + span / 3);
    const from = to - span;
    const ring = span > 3600 ? store.history.minutes : store.history.seconds;
    if (span > 3600 && !this.hasMinutes) {
      this.hasMinutes = true;
      store.loadMinutes?.().then(() => this.drawStrip());
    }
    const width = Math.max(1, Math.ceil(span / ring.step / STRIP_POINTS));
    store.history.points(ring, from, to, width, 'bytes', this.points);
    const bits = this.points.mean.map((value) => (value === null ? null : value * 8));
    // The seconds that ticks told since the page was opened are no hour.
    const least = store.history_state === 'loading' || store.history_state === 'failed' ? LEAST_POINTS : 1;
    if (bits.filter((value) => value !== null).length < least) this.strip.setNone((state) => this.sayNoHistory(state));
    else if (this.points.times.length > 1) this.strip.set({ from: this.points.times[0], step: width * ring.step, values: bits });
    this.strip.setSelection(time.live ? null : time.from, time.live ? null : time.to);
  }

  sayNoHistory(state) {
    const { store, time } = this.app;
    if (store.history_state === 'loading') state.loading('Loading');
    else if (store.history_state === 'failed') state.failed('The history cannot be loaded', store.history_error, () => store.loadHistory());
    else state.nothing('Nothing is known of this time', '', time.live ? null : { text: 'Go live', run: () => time.set({ live: true }) });
  }

  frame() {
    if (this.app.time.live) {
      this.drawStrip();
      this.graph?.tick();
      this.table?.tick(); // its answers have the totals, too
    }
    this.detail?.tick();
  }

  leave() {
    this.isLeft = true;
    clearTimeout(this.retry);
    clearTimeout(this.following);
    closeMenu();
    document.removeEventListener('keydown', this.onKey);
    this.offTime();
    this.offHistory();
    this.bar.leave();
    this.strip.leave();
    this.table?.leave();
    this.graph?.leave();
    this.detail?.leave();
    this.element.remove();
  }
}

export const view = {
  name: 'flows',
  title: 'Flows',
  mount(root, app) {
    const flows = new FlowsView(root, app);
    return { frame: () => flows.frame(), route: () => flows.apply(), leave: () => flows.leave() };
  },
};
