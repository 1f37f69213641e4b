// The Sankey panel of the flows view: sources, services and destinations of what is filtered, as a drawing or a table.
//
// Owns the question to `graph`. Knows no address of the page. Invariant: a drawing is replaced only where its data changed, and
// never while a person points at it or has the focus in it.

import { h, setText } from './dom.js';
import { bytes, clock, exact } from './format.js';
import { drawSankey, sankeyTable } from './sankey.js';
import { segmented } from './flows_bar.js';
import { PanelState } from './panel_state.js';
import { visible } from './format.js';

const REFRESH_MS = 5000;
/** Padding of the drawing at both sides, px. */
const SIDE = 32;

/** Columns as numbers from the left, and filters as what they add to the one that was asked with. */
function prepared(graph, asked) {
  const columns = [...new Set(graph.nodes.map((node) => node.column))];
  const before = `(${(asked ?? '').trim()}) `;
  const added = (filter) => (asked && filter?.startsWith(before) ? filter.slice(before.length) : filter);
  const nodes = graph.nodes.map((node) => ({ ...node, column: columns.indexOf(node.column), filter: added(node.filter) }));
  return { ...graph, nodes, links: graph.links.map((link) => ({ ...link, filter: added(link.filter) })) };
}

/** Options: onTerm(filter), onAll(), onError(error). onAll takes filter and scope away. */
export class FlowsGraph {
  constructor(app, options) {
    this.app = app;
    this.options = options;
    this.limit = '12';
    this.form = 'drawing';
    this.number = 0;
    this.graph = null;
    this.ways = segmented('Shown as', [['drawing', 'Drawing'], ['table', 'Table of links']], (form) => { this.form = form; this.draw(); });
    this.sizes = segmented('Nodes in each column', [['12', '12'], ['25', '25'], ['50', '50']], (limit) => { this.limit = limit; this.load(); });
    this.caption = h('span', { class: 'dim' });
    this.root = h('div', { class: 'graph-root', tabindex: '0', role: 'region', 'aria-label': 'Sources, services and destinations' });
    this.state = new PanelState('graph-empty');
    this.element = h('section', { class: 'panel graph-panel', 'aria-label': 'Sankey' },
      h('header', { class: 'panel-head' }, h('h2', { text: 'Source → service → destination' }), this.caption, this.sizes.element, this.ways.element), this.state.element, this.root);
    this.resize = new ResizeObserver(() => { if (this.root.clientWidth !== this.width) this.draw(); });
    this.resize.observe(this.root);
  }

  ask(filter, scope) {
    if (filter === this.filter && scope === this.scope && this.graph) return;
    this.filter = filter;
    this.scope = scope;
    this.load();
  }

  async load() {
    this.sizes.show(this.limit);
    this.number += 1;
    const { number, filter: asked } = this;
    if (!this.graph) this.state.loading('Loading the diagram');
    this.loadedAt = performance.now();
    try {
      const graph = await this.app.api('api/v1/graph', { filter: asked || null, by: 'client,service,server', metric: 'bytes', limit: this.limit, scope: this.scope === 'all' ? null : this.scope });
      if (number !== this.number) return;
      this.graph = prepared(graph, asked);
      this.draw();
    } catch (error) {
      if (number !== this.number) return;
      if (!this.graph || error.code === 'bad_filter') this.fail(error);
      this.options.onError(error);
    }
  }

  /** There is no drawing of this question. */
  fail(error) {
    this.graph = null;
    this.root.replaceChildren();
    setText(this.caption, '');
    if (error.code === 'bad_filter') this.state.nothing('The filter cannot be read', 'What is wrong with it stands below the filter.', { text: 'Show all flows', run: () => this.options.onAll() });
    else this.state.failed('The diagram cannot be drawn', error, () => this.load());
  }

  tick() {
    const isUsed = this.root.matches(':hover') || this.root.contains(document.activeElement);
    if (!isUsed && performance.now() - (this.loadedAt ?? 0) > REFRESH_MS) this.load();
  }

  draw() {
    this.ways.show(this.form);
    this.width = this.root.clientWidth;
    if (!this.graph || this.width === 0) return;
    const { graph } = this;
    const why = graph.whole ? 'whole table' : `⚠ incomplete: ${visible(graph.why ?? 'some flows could not be read', 100)}`;
    setText(this.caption, `bytes of ${exact(graph.links.length)} links · ${why} at ${clock(graph.time)}`);
    const onChoose = (filter) => { if (filter) this.options.onTerm(filter); };
    const isFiltered = Boolean(this.filter) || this.scope !== 'all';
    if (graph.links.length === 0) {
      this.root.replaceChildren();
      this.state.nothing(isFiltered ? 'No flow fits this filter' : 'There is no flow yet', 'Links appear here with their flows.', isFiltered ? { text: 'Show all flows', run: () => this.options.onAll() } : null);
      return;
    }
    this.state.ready();
    if (this.form === 'table') this.root.replaceChildren(sankeyTable(graph, { formatValue: bytes, onChoose }));
    else drawSankey(this.root, graph, { width: this.width - SIDE, height: this.root.clientHeight - SIDE / 2, formatValue: bytes, onChoose });
  }

  leave() {
    this.number += 1;
    this.resize.disconnect();
  }
}
