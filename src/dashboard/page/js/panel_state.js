// What a panel says while it has nothing to show: that it loads, that there is nothing, that it failed; each with a way on.
//
// Owns one element that is hidden while the panel has something. Knows no view and no server. Invariant: the same state is written once, so
// that a screen reader hears it once, however often it comes again.

import { h } from './dom.js';
import { visible } from './format.js';

/** Lines of the drawing that stands for what will be there. */
const LINES = 4;

export class PanelState {
  /** `kind` is 'ready', 'loading', 'nothing' or 'failed'. */
  constructor(className = '') {
    this.kind = 'ready';
    this.element = h('div', { class: `panel-state ${className}`.trim(), tabindex: '-1', hidden: true });
  }

  ready() {
    this.put('ready', '', []);
  }

  loading(text = 'Loading') {
    this.put('loading', text, [
      h('span', { class: 'skeleton', 'aria-hidden': 'true' }, Array.from({ length: LINES }, () => h('i'))), h('span', { role: 'status', text }),
    ]);
  }

  /** `way`: {text, run} leads out of it. */
  nothing(title, text, way = null) {
    this.put('nothing', `${title} ${text} ${way?.text}`, [h('strong', { text: title }), h('span', { text }), this.button(way)]);
  }

  failed(title, error, again) {
    const why = visible(error.message, 300);
    this.put('failed', `${title} ${why}`, [h('strong', { text: title }), h('span', { text: why }), this.button({ text: 'Try again', run: again })], 'alert');
  }

  button(way) {
    this.run = way?.run ?? null;
    return way ? h('button', { class: 'button', type: 'button', text: way.text, on: { click: () => this.run?.() } }) : null;
  }

  put(kind, key, parts, role = null) {
    this.element.hidden = kind === 'ready';
    if (this.kind === kind && this.key === key) return;
    const had_focus = this.element.contains(document.activeElement);
    this.kind = kind;
    this.key = key;
    this.element.dataset.kind = kind;
    this.element.replaceChildren(h('div', { class: 'panel-state-text', role }, parts));
    if (had_focus && kind !== 'ready') this.element.focus({ preventScroll: true });
  }
}
