// The bar over the wall: its pages, and the rotation through them.
//
// Owns the bar and the clock of the rotation. Knows the address: `page` is the page that is shown, `rotate` the seconds of each. Invariant:
// a rotation that a person stops takes itself out of the address, so a reload does not start it again.

import { title } from './alert_text.js';
import { h, setAttr, setText } from './dom.js';
import { newAlert, PAGES, ROTATE_DEFAULT, Rotation, rotateSecs } from './wall_rotation.js';

const PASS_MS = 250;
const USES = ['pointerdown', 'wheel', 'keydown'];

export class WallPager {
  /** `onPage(name)` shows a page. */
  constructor(app, onPage) {
    this.app = app;
    this.onPage = onPage;
    this.page = null;
    this.rotation = new Rotation(() => this.next());
    this.buttons = PAGES.map(([name, text]) => h('button', { type: 'button', text, 'data-page': name, on: { click: () => app.route.set({ page: name === 'overview' ? null : name }) } }));
    this.toggle = h('button', { class: 'button', type: 'button', id: 'rotate-button', title: 'Show one page after the other (r)', on: { click: () => this.toggleRotation() } });
    this.note = h('span', { class: 'pager-note' });
    this.element = h('div', { class: 'pager', role: 'group', 'aria-label': 'Pages of the wall' }, h('div', { class: 'segments' }, this.buttons), this.toggle, this.note);
    this.use = (event) => this.used(event);
    for (const type of USES) addEventListener(type, this.use, { capture: true, passive: true });
    this.timer = setInterval(() => this.pass(), PASS_MS);
    this.passed_at = performance.now();
    this.apply();
  }

  leave() {
    clearInterval(this.timer);
    for (const type of USES) removeEventListener(type, this.use, { capture: true });
  }

  /** Shows what the address says. */
  apply() {
    const { params } = this.app.route;
    const asked = params.get('page');
    const page = PAGES.some(([name]) => name === asked) ? asked : 'overview';
    this.rotation.set(rotateSecs(params.get('rotate')));
    this.show();
    if (page === this.page) return;
    this.page = page;
    this.rotation.restart();
    for (const button of this.buttons) setAttr(button, 'aria-pressed', String(button.dataset.page === page));
    this.onPage(page);
  }

  next() {
    const at = PAGES.findIndex(([name]) => name === this.page);
    const [name] = PAGES[(at + 1) % PAGES.length];
    // The page before is no step to go back to.
    this.app.route.set({ page: name === 'overview' ? null : name }, { replace: true });
  }

  toggleRotation() {
    const is_on = this.rotation.secs !== null;
    this.app.route.set({ rotate: is_on ? null : ROTATE_DEFAULT }, { replace: true });
    this.app.announce(is_on ? 'Rotation stopped' : `Pages change every ${ROTATE_DEFAULT} seconds. Any key or press stops it.`);
  }

  /** Somebody is there: the page stays as it is. The button and its key say themselves what they do. */
  used(event) {
    if (this.rotation.secs === null) return;
    if (event.type === 'keydown' && (event.key === 'r' || ['Shift', 'Control', 'Alt', 'Meta'].includes(event.key))) return;
    if (event.target instanceof Element && event.target.closest('#rotate-button')) return;
    this.app.route.set({ rotate: null }, { replace: true });
    this.app.toast('Rotation stopped. r starts it again.');
  }

  /** The alert that holds the page. */
  held() {
    const { store } = this.app;
    return newAlert(store.alerts.values(), store.now());
  }

  pass() {
    const now = performance.now();
    const secs = (now - this.passed_at) / 1000;
    this.passed_at = now;
    if (document.visibilityState === 'hidden') return;
    this.rotation.pass(secs, this.held() !== null);
    this.show();
  }

  show() {
    const { secs, left } = this.rotation;
    setText(this.toggle, secs === null ? 'Rotate' : 'Stop');
    setAttr(this.toggle, 'aria-pressed', String(secs !== null));
    const alert = secs === null ? null : this.held();
    setAttr(this.note, 'data-held', alert !== null);
    setText(this.note, secs === null ? '' : alert ? `▲ New alert: ${title(alert)}` : `next page in ${Math.ceil(left)} s`);
  }
}
