// The small chart of a flow's rates: to the client above the line, to the server below it.
//
// Owns the drawing. Knows no server. Invariant: three shapes, whatever the number of points; its summary is text.

import { h, setAttr, setText, svg } from './dom.js';
import { bits, clock, known } from './format.js';

const WIDTH = 400;
const HEIGHT = 72;
const PART_MIN = 8; // height that a direction has at least

export class RateChart {
  constructor() {
    this.up = svg('path', { class: 'rate-to-client' });
    this.down = svg('path', { class: 'rate-to-server' });
    this.line = svg('path', { class: 'rate-line' });
    this.drawing = svg('svg', { class: 'rate-chart', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' }, this.up, this.down, this.line);
    this.from = h('span', {});
    this.most = h('span', {});
    this.to = h('span', {});
    this.element = h('figure', { class: 'rate-figure' }, this.drawing, h('figcaption', {}, this.from, this.most, this.to));
  }

  /** Shows points [time, bits per second to the server, to the client]. */
  set(rates) {
    const points = rates.filter((point) => Array.isArray(point) && known(point[0]));
    this.element.hidden = points.length < 2;
    if (points.length < 2) return;
    const [begin, end] = [points[0][0], points.at(-1)[0]];
    const [mostUp, mostDown] = [2, 1].map((column) => Math.max(0, ...points.map((point) => point[column] ?? 0)));
    const largest = Math.max(1, mostUp, mostDown);
    // One scale for both, so that they can be compared; the line lies where both have room.
    const room = HEIGHT - 2 * PART_MIN;
    const unit = room / Math.max(1, mostUp + mostDown);
    const middle = PART_MIN + unit * mostUp;
    const x = (time) => ((time - begin) / Math.max(1e-9, end - begin)) * WIDTH;
    const area = (column, sign) => `M0 ${middle.toFixed(1)}${points.map((point) => `L${x(point[0]).toFixed(1)} ${(middle - (point[column] ?? 0) * unit * sign).toFixed(1)}`).join('')}L${WIDTH} ${middle.toFixed(1)}Z`;
    setAttr(this.up, 'd', area(2, 1));
    setAttr(this.down, 'd', area(1, -1));
    setAttr(this.line, 'd', `M0 ${middle.toFixed(1)}H${WIDTH}`);
    setText(this.from, clock(begin));
    setText(this.to, clock(end));
    setText(this.most, `▼ to client  ▲ to server  most ${bits(largest)}`);
    setAttr(this.drawing, 'aria-label', `Rate from ${clock(begin)} to ${clock(end)}: at most ${bits(largest)}, lastly ${bits(points.at(-1)[2])} to the client and ${bits(points.at(-1)[1])} to the server`);
  }
}
