// The strip over the table: what the link carried, with a time that can be selected by pointer or keyboard.
//
// Owns the drawing and the selection while it is made. Knows no server. Invariant: one canvas, redrawn as a whole, never more
// than once per frame of the display.

import { roundTimes } from './axis_times.js';
import { h, setAttr, setText } from './dom.js';
import { perFrame } from './elements.js';
import { bits, clock, known } from './format.js';
import { PanelState } from './panel_state.js';
import * as theme from './theme.js';

const AXIS = 16;
const STEP_KEYS = 40; // a key moves the selection by this part of the time shown
const DRAG_MIN_PX = 4;
const MARK_PX = 90; // room that a mark of the axis has at least

/** Options: onSelect(from, to) with null, null for no selection. */
export class HistoryStrip {
  constructor({ onSelect }) {
    this.onSelect = onSelect;
    this.data = null;
    this.selection = null;
    this.drag = null;
    this.paintSoon = perFrame(() => this.paint());
    this.caption = h('span', { class: 'strip-caption', text: 'Traffic of the link' });
    this.hint = h('span', { class: 'strip-hint dim', text: 'drag to select a time' });
    this.reset = h('button', { type: 'button', class: 'chip', hidden: true, on: { click: () => this.select(null) } });
    this.canvas = h('canvas', {
      class: 'strip-canvas', role: 'img', tabindex: '0', 'aria-label': 'Traffic of the link',
      on: {
        pointerdown: (event) => this.press(event), pointermove: (event) => this.move(event), pointerup: (event) => this.release(event),
        pointercancel: () => this.cancel(), pointerleave: () => this.point(null), keydown: (event) => this.key(event),
      },
    });
    this.state = new PanelState('is-small');
    this.element = h('section', { class: 'panel strip', 'aria-label': 'Traffic of the link over time' },
      h('header', {}, this.caption, this.reset, this.hint), this.state.element, this.canvas);
    this.resize = new ResizeObserver(() => this.paintSoon());
    this.resize.observe(this.canvas);
    this.offTheme = theme.on(() => { this.colours = new Map(); this.paintSoon(); });
    this.colours = new Map();
  }

  /** Shows bits per second: `values[i]` is of `from + i * step` seconds, null where nothing is known. */
  set({ from, step, values }) {
    this.data = { from, step, values, to: from + step * values.length };
    const present = values.filter(known);
    this.canvas.hidden = false;
    this.state.ready();
    const largest = present.length > 0 ? Math.max(...present) : null;
    setText(this.caption, `Traffic of the link, at most ${bits(largest)}`);
    const last = present.at(-1) ?? null;
    setAttr(this.canvas, 'aria-label', `Traffic of the link from ${clock(from)} to ${clock(this.data.to)}: at most ${bits(largest)}, lastly ${bits(last)}. `
      + 'Left and right select a time, with Shift its length, Escape ends it.');
    this.paintSoon();
  }

  /** Says why there is nothing to draw: `say` gets the strip's PanelState. */
  setNone(say) {
    this.data = null;
    this.canvas.hidden = true;
    setText(this.caption, 'Traffic of the link');
    say(this.state);
  }

  /** Shows a selection that is in force. */
  setSelection(from, to) {
    this.selection = known(from) && known(to) ? [from, to] : null;
    this.sayChosen();
    this.paintSoon();
  }

  select(selection) {
    this.selection = selection;
    this.sayChosen();
    this.paintSoon();
    this.onSelect(selection?.[0] ?? null, selection?.[1] ?? null);
  }

  sayChosen() {
    this.reset.hidden = !this.selection;
    this.hint.hidden = Boolean(this.selection);
    if (!this.selection) return;
    const [from, to] = this.selection;
    setText(this.reset, `flows seen ${clock(from)} – ${clock(to)}  ×`);
    setAttr(this.reset, 'aria-label', `Flows seen from ${clock(from)} to ${clock(to)}. End this selection.`);
  }

  leave() {
    this.paintSoon.cancel();
    this.resize.disconnect();
    this.offTheme();
  }

  // Pointer and keyboard

  timeAt(x) {
    const share = Math.max(0, Math.min(1, x / Math.max(1, this.canvas.clientWidth)));
    return this.data.from + share * (this.data.to - this.data.from);
  }

  press(event) {
    if (!this.data || event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { x: event.offsetX, to: event.offsetX };
  }

  move(event) {
    if (this.drag) this.drag.to = event.offsetX;
    this.point(event.offsetX);
  }

  release() {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (Math.abs(drag.to - drag.x) >= DRAG_MIN_PX) this.select([this.timeAt(Math.min(drag.x, drag.to)), this.timeAt(Math.max(drag.x, drag.to))]);
    else if (this.selection) this.select(null);
    this.paintSoon();
  }

  cancel() {
    this.drag = null;
    this.paintSoon();
  }

  point(x) {
    this.pointer = x;
    this.paintSoon();
  }

  key(event) {
    if (!this.data) return;
    const step = (this.data.to - this.data.from) / STEP_KEYS;
    const [from, to] = this.selection ?? [this.data.to - 2 * step, this.data.to];
    const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (sign) {
      event.preventDefault();
      const move = sign * step;
      const next = event.shiftKey ? [from, Math.max(from + step, to + move)] : [from + move, to + move];
      if (next[0] >= this.data.from && next[1] <= this.data.to + 1e-6) this.select(next);
    } else if (event.key === 'Escape' && this.selection) {
      event.stopPropagation();
      this.select(null);
    }
  }

  // Drawing

  paint() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!this.data || width === 0 || height === 0) return;
    this.height = height;
    const ratio = devicePixelRatio || 1;
    const [pixels, lines] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== pixels || this.canvas.height !== lines) {
      this.canvas.width = pixels;
      this.canvas.height = lines;
    }
    const pen = this.canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, this.height);
    const colour = (name) => this.colour(name);
    const largest = Math.max(1, ...this.data.values.filter(known)) * 1.08;
    this.paintArea(pen, width, largest, colour);
    this.paintAxis(pen, width, colour);
    this.paintSelection(pen, width, colour);
    this.paintPointer(pen, width, colour);
  }

  /** The colour of a token, looked up once per theme. */
  colour(name) {
    if (!this.colours.has(name)) this.colours.set(name, theme.colour(name));
    return this.colours.get(name);
  }

  paintArea(pen, width, largest, colour) {
    const { values } = this.data;
    const floor = this.height - AXIS;
    const x = (index) => (index / Math.max(1, values.length - 1)) * width;
    const y = (value) => floor - (value / largest) * (floor - 4);
    const line = colour('accent');
    let start = -1;
    const run = (from, end) => {
      pen.beginPath();
      for (let index = from; index < end; index += 1) pen[index === from ? 'moveTo' : 'lineTo'](x(index), y(values[index]));
      pen.strokeStyle = line;
      pen.lineWidth = 1.5;
      pen.lineJoin = 'round';
      pen.stroke();
      pen.lineTo(x(end - 1), floor);
      pen.lineTo(x(from), floor);
      pen.closePath();
      pen.globalAlpha = 0.16;
      pen.fillStyle = line;
      pen.fill();
      pen.globalAlpha = 1;
    };
    values.forEach((value, index) => {
      if (known(value) && start < 0) start = index;
      if (!known(value) && start >= 0) { run(start, index); start = -1; }
    });
    if (start >= 0) run(start, values.length);
  }

  paintAxis(pen, width, colour) {
    const { from, to } = this.data;
    pen.font = '11px Inter, system-ui, sans-serif';
    pen.fillStyle = colour('faint');
    pen.strokeStyle = colour('line');
    pen.lineWidth = 1;
    const floor = this.height - AXIS;
    pen.beginPath();
    pen.moveTo(0, floor + 0.5);
    pen.lineTo(width, floor + 0.5);
    pen.stroke();
    pen.textAlign = 'center';
    for (const time of roundTimes(from, to, Math.max(2, Math.floor(width / MARK_PX)))) {
      const text = clock(time).slice(0, time % 60 === 0 ? 5 : 8);
      const x = ((time - from) / (to - from)) * width;
      const half = pen.measureText(text).width / 2;
      if (x >= half && x <= width - half) pen.fillText(text, x, this.height - 3);
    }
  }

  paintSelection(pen, width, colour) {
    const { from, to } = this.data;
    const shown = this.drag ? [this.drag.x, this.drag.to].sort((a, b) => a - b) : this.selection?.map((time) => ((time - from) / (to - from)) * width);
    if (!shown) return;
    const [left, right] = [Math.max(0, shown[0]), Math.min(width, shown[1])];
    if (right <= left) return;
    pen.fillStyle = colour('out');
    pen.globalAlpha = 0.16;
    pen.fillRect(left, 0, right - left, this.height - AXIS);
    pen.globalAlpha = 1;
    pen.fillRect(left, 0, 1, this.height - AXIS);
    pen.fillRect(right - 1, 0, 1, this.height - AXIS);
  }

  paintPointer(pen, width, colour) {
    if (this.pointer === null || this.pointer === undefined || this.drag) return;
    const { from, step, values } = this.data;
    const time = this.timeAt(this.pointer);
    const value = values[Math.min(values.length - 1, Math.floor((time - from) / step))];
    pen.fillStyle = colour('line-strong');
    pen.fillRect(Math.round(this.pointer), 0, 1, this.height - AXIS);
    const text = `${clock(time)}  ${known(value) ? bits(value) : 'not known'}`;
    const size = pen.measureText(text).width;
    const x = Math.min(width - size - 8, this.pointer + 8);
    pen.fillStyle = colour('panel');
    pen.fillRect(x - 4, 2, size + 8, 16);
    pen.fillStyle = colour('ink');
    pen.textAlign = 'left';
    pen.fillText(text, x, 14);
  }
}
