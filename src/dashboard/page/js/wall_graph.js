// The Sankey panel of the wall: who talks to whom by which service, for a reader who only looks.
//
// Owns the question to `graph`, asked every REFRESH_MS while the panel is shown. Invariant: nothing is asked while it is not shown.

import { h, setText } from './dom.js';
import { bytes, clock, visible } from './format.js';
import { PanelState } from './panel_state.js';
import { drawSankey } from './sankey.js';

const REFRESH_MS = 10_000;
/** Nodes of a column. */
const NODES = 8;

export class WallGraph {
  constructor(app) {
    this.app = app;
    this.is_shown = false;
    this.number = 0;
    this.note = h('span', { class: 'aside' });
    this.state = new PanelState();
    this.root = h('div', { class: 'wall-graph-root' });
    this.element = h('section', { class: 'panel wall-graph', 'aria-label': 'Who talks to whom' },
      h('h2', { class: 'heading' }, h('span', { text: 'Source → service → destination' }), this.note), this.state.element, this.root);
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.root);
  }

  show(is_shown) {
    this.is_shown = is_shown;
    if (is_shown) this.load();
  }

  tick() {
    if (this.is_shown && performance.now() - (this.asked_at ?? -Infinity) >= REFRESH_MS) this.load();
  }

  async load() {
    this.number += 1;
    const { number } = this;
    this.asked_at = performance.now();
    if (!this.graph) this.state.loading('Loading the diagram');
    try {
      const graph = await this.app.api('graph', { by: 'client,service,server', metric: 'bytes', limit: NODES, scope: 'live' });
      if (number !== this.number) return;
      const columns = [...new Set(graph.nodes.map((node) => node.column))];
      this.graph = { ...graph, nodes: graph.nodes.map((node) => ({ ...node, column: columns.indexOf(node.column) })) };
      this.draw();
    } catch (error) {
      if (number !== this.number) return;
      if (!this.graph) this.state.failed('The diagram cannot be drawn', error, () => this.load());
      else setText(this.note, `older: ${visible(error.message, 80)}`);
    }
  }

  draw() {
    const [width, height] = [this.root.clientWidth, this.root.clientHeight];
    if (!this.graph || !this.is_shown || width < 50) return;
    if (this.graph.links.length === 0) {
      this.root.replaceChildren();
      this.state.nothing('No traffic', 'No flow is alive.');
      return;
    }
    this.state.ready();
    setText(this.note, `bytes of live flows${this.graph.whole ? '' : ', not of all'} at ${clock(this.graph.time)}`);
    drawSankey(this.root, this.graph, { width, height, formatValue: bytes, is_large: innerWidth >= 1600, onChoose: (filter) => { if (filter) this.app.route.set({ view: 'flows', filter, show: 'sankey' }); } });
  }

  leave() {
    this.number += 1;
    this.resize.disconnect();
  }
}
