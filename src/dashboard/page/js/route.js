// The state of the page that is in its address: the view, the time, the filter. Nothing else keeps these.

import { Emitter } from './emitter.js';

// What goes along to another view.
const KEPT = ['range', 'from', 'to', 'paused', 'theme', 'perf', 'tv'];

export class Route {
  constructor() {
    this.emitter = new Emitter();
    this.params = new URLSearchParams(location.search);
    addEventListener('popstate', () => this.take(new URLSearchParams(location.search)));
  }

  get view() { return this.params.get('view') ?? 'wall'; }

  // The address with changes; null takes a parameter away. `{ view }` of another view leaves out what is that view's alone.
  href(changes) {
    const is_other = changes.view !== undefined && changes.view !== this.view;
    const next = new URLSearchParams(this.params);
    if (is_other) for (const name of [...next.keys()]) if (!KEPT.includes(name)) next.delete(name);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === '') next.delete(name); else next.set(name, value);
    }
    const text = next.toString();
    return text ? `?${text}` : location.pathname;
  }

  // Goes there: a new entry of the history, or with `replace` the same one.
  set(changes, { replace = false } = {}) {
    const href = this.href(changes);
    if (href === (location.search || location.pathname)) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', href);
    this.take(new URLSearchParams(location.search));
  }

  take(params) {
    const previous = this.params;
    this.params = params;
    this.emitter.emit('change', { params, previous });
  }

  on(listener) { return this.emitter.on('change', listener); }
}
