// A Sankey diagram: who talks to whom by which service. The drawing grows with its nodes, so labels never overlap.
//
// Owns the drawing. Knows no server: it gets nodes and links, and tells what was chosen. Invariant: everything that can be
// clicked can be reached by keyboard and has a name.

import { sankey, sankeyLinkHorizontal } from '../vendor/d3-sankey/index.js';
import { h, svg } from './dom.js';
import { kindOf } from './flow_columns.js';
import { visible } from './format.js';

const NODE_HEIGHT = 30; // px per node of the longest column
const NODE_WIDTH = 12;
const NODE_GAP = 18; // a line of text for the smallest node
const LABEL_WIDTH = 210;
const LABEL_WIDTH_LARGE = 270; // of letters for a wall
const LABEL_MAX = 34;
const HEIGHT_MIN = 320;

/** Largest first; what stands for all others last. */
const rank = (node) => (node.is_other || !node.filter ? -1 : node.value);

/** Nodes of a link count only once: a graph with a circle has no layout. A node in two columns has two entries already. */
function layout(graph, width, height, label_width) {
  const nodes = graph.nodes.map((node, index) => ({ ...node, index }));
  const links = graph.links
    .filter((link) => link.value > 0 && nodes[link.source] && nodes[link.target] && nodes[link.source].column < nodes[link.target].column)
    .map((link) => ({ ...link }));
  const isSmall = width < 620;
  const side = isSmall ? 4 : label_width;
  const columns = Math.max(...nodes.map((node) => node.column), 1);
  const placing = sankey()
    .nodeWidth(NODE_WIDTH)
    .nodePadding(isSmall ? 22 : NODE_GAP)
    .nodeAlign((node) => node.column)
    .nodeSort((a, b) => rank(b) - rank(a))
    .extent([[side, isSmall ? 24 : 8], [width - side, height - 8]]);
  return { ...placing({ nodes, links }), columns, isSmall };
}

function columnName(column) {
  return ['source', 'service', 'destination'][column] ?? `column ${column + 1}`;
}

/** Draws `graph` {nodes [{label, column, value, filter}], links [{source, target, value, flows, filter}]} into `root`; `is_large` for letters of a wall. */
export function drawSankey(root, graph, { width, height: room, formatValue, onChoose, is_large = false }) {
  const perColumn = new Map();
  for (const node of graph.nodes) perColumn.set(node.column, (perColumn.get(node.column) ?? 0) + 1);
  const longest = Math.max(1, ...perColumn.values());
  const height = Math.max(HEIGHT_MIN, room, longest * (NODE_HEIGHT + NODE_GAP));
  const placed = layout(graph, width, height, is_large ? LABEL_WIDTH_LARGE : LABEL_WIDTH);
  const path = sankeyLinkHorizontal();
  const choose = (filter) => (event) => {
    if (event.type === 'keydown' && event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    onChoose(filter);
  };

  const linkShapes = placed.links.map((link) => {
    const name = `${visible(link.source.label, 60)} → ${visible(link.target.label, 60)}: ${formatValue(link.value)}, ${link.flows} flows`;
    const on = { click: choose(link.filter), keydown: choose(link.filter) };
    return svg('path', {
      class: `sankey-link kind-${kindOf((link.source.column === 1 ? link.source : link.target).label)}`, d: path(link), 'stroke-width': Math.max(1, link.width), role: 'button', tabindex: '0',
      'aria-label': `${name}. Only this.`, on, 'data-source': link.source.index, 'data-target': link.target.index,
    }, svg('title', { text: name }));
  });

  const nodeShapes = placed.nodes.filter((node) => node.x0 !== undefined).map((node) => {
    const name = `${visible(node.label, 80)} ${formatValue(node.value)}, ${columnName(node.column)}`;
    const on = {
      click: choose(node.filter), keydown: choose(node.filter), pointerenter: () => mark(node.index, true), pointerleave: () => mark(node.index, false),
      focus: () => mark(node.index, true), blur: () => mark(node.index, false),
    };
    const shape = svg('rect', { class: node.column === 1 ? `kind-${kindOf(node.label)}` : null, x: node.x0, y: node.y0, width: node.x1 - node.x0, height: Math.max(2, node.y1 - node.y0), rx: 2 });
    const role = node.filter ? { role: 'button', tabindex: '0' } : {};
    return svg('g', { class: node.filter ? 'sankey-node' : 'sankey-node is-rest', ...role, on }, svg('title', { text: node.filter ? `${name}. Only this.` : name }), shape,
      ...labels(node, placed, formatValue));
  });

  function mark(index, isOn) {
    for (const shape of linkShapes) {
      const isOf = shape.dataset.source === String(index) || shape.dataset.target === String(index);
      shape.classList.toggle('is-marked', isOn && isOf);
    }
    drawing.classList.toggle('has-marked', isOn);
  }

  const drawing = svg('svg', {
    class: 'sankey', width, height, viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': 'Traffic from sources by services to destinations',
  }, svg('g', { fill: 'none' }, ...linkShapes), svg('g', {}, ...nodeShapes));
  root.replaceChildren(drawing);
}

/** The label of a node: outside of the drawing at both ends, beside the node in the middle; above it on small screens. */
function labels(node, placed, formatValue) {
  const middle = (node.y0 + node.y1) / 2;
  const text = visible(node.label, placed.isSmall ? 20 : LABEL_MAX);
  const value = formatValue(node.value);
  if (placed.isSmall) {
    const anchor = node.column === 0 ? 'start' : node.column === placed.columns ? 'end' : 'middle';
    const x = node.column === 0 ? node.x0 : node.column === placed.columns ? node.x1 : (node.x0 + node.x1) / 2;
    return [svg('text', { class: 'sankey-label', x, y: node.y0 - 5, 'text-anchor': anchor, text })];
  }
  const isFirst = node.column === 0;
  const x = isFirst ? node.x0 - 8 : node.x1 + 8;
  const anchor = isFirst ? 'end' : 'start';
  const isOuter = isFirst || node.column === placed.columns;
  if (node.y1 - node.y0 < 30) {
    const short = isOuter ? visible(node.label, 20) : text;
    return [svg('text', { class: 'sankey-label', x, y: middle, dy: '0.35em', 'text-anchor': anchor },
      svg('tspan', { text: short }), svg('tspan', { class: 'sankey-value', dx: 6, text: value }))];
  }
  return [
    svg('text', { class: 'sankey-label', x, y: middle, dy: '-0.15em', 'text-anchor': anchor, text }),
    svg('text', { class: 'sankey-label sankey-value', x, y: middle, dy: '1.05em', 'text-anchor': anchor, text: value }),
  ];
}

/** The same as a table, widest links first. */
export function sankeyTable(graph, { formatValue, onChoose }) {
  const rows = [...graph.links].sort((a, b) => b.value - a.value).map((link) => {
    const cells = [graph.nodes[link.source], graph.nodes[link.target]].map((node) => h('td', { class: 'mono' },
      h('bdi', { text: visible(node?.label, 80) })));
    return h('tr', {}, ...cells,
      h('td', { class: 'num', text: formatValue(link.value) }),
      h('td', { class: 'num', text: link.flows.toLocaleString('en') }),
      h('td', {}, h('button', {
        type: 'button', class: 'link-button', text: 'Only this', 'aria-label': `Only this: ${visible(graph.nodes[link.source]?.label, 60)} → ${visible(graph.nodes[link.target]?.label, 60)}`,
        on: { click: () => onChoose(link.filter) },
      })));
  });
  const head = ['From', 'To', 'Traffic', 'Flows', ''].map((text, index) => h(text ? 'th' : 'td', { scope: text ? 'col' : null, class: index === 2 || index === 3 ? 'num' : '', text }));
  return h('table', { class: 'plain' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows));
}
