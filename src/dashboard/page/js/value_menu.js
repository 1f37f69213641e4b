// A menu at a value: only this, not this, copy.
//
// Owns one open menu at a time. Knows no view. Invariant: when it closes, the focus is back where it was.

import { h } from './dom.js';

let open = null;

/** Closes the menu that is open, if any. */
export function closeMenu() {
  open?.close();
}

/**
 * Opens a menu at `anchor`. `groups`: [{title, items: [{label, detail, run}]}]. Arrows move, Enter runs, Escape closes; so does a press
 * elsewhere.
 */
export function openMenu(anchor, label, groups) {
  closeMenu();
  const before = document.activeElement;
  const items = [];
  const sections = groups.map((group) => h('div', { class: 'menu-group', role: 'group', 'aria-label': group.title ?? label },
    group.title ? h('div', { class: 'menu-title', 'aria-hidden': 'true' }, h('span', { text: group.title }),
      group.value ? h('bdi', { class: 'mono', text: group.value }) : null) : null,
    ...group.items.map((item) => {
      const node = h('button', {
        type: 'button', class: 'menu-item', role: 'menuitem', tabindex: '-1',
        on: { click: () => { close(); item.run(); } },
      }, h('span', { text: item.label }), item.detail ? h('span', { class: 'menu-detail mono', text: item.detail }) : null);
      items.push(node);
      return node;
    })));
  const menu = h('div', { class: 'menu', role: 'menu', 'aria-label': label }, ...sections);
  // A landmark of its own: the page's main part may be greyed, which would move what is fixed in it.
  const region = h('div', { role: 'region', 'aria-label': `Menu: ${label}` }, menu);
  const outside = (event) => { if (!menu.contains(event.target)) close(); };
  const escape = () => close();

  function close() {
    if (open?.menu !== menu) return;
    open = null;
    region.remove();
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', escape);
    window.removeEventListener('blur', escape);
    if (before?.isConnected) before.focus({ preventScroll: true });
  }

  menu.addEventListener('keydown', (event) => {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: (at + 1) % items.length, ArrowUp: (at + items.length - 1) % items.length, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[to].focus();
    else if (event.key === 'Escape' || event.key === 'Tab') close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  document.body.append(region);
  open = { menu, close };
  place(menu, anchor.getBoundingClientRect());
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', escape);
  window.addEventListener('blur', escape);
  items[0]?.focus({ preventScroll: true });
}

/** Under the anchor, or above it where there is more room; always inside the window. */
function place(menu, anchor) {
  const { width, height } = menu.getBoundingClientRect();
  const isBelow = anchor.bottom + height + 8 < innerHeight || anchor.top < innerHeight / 2;
  const left = Math.max(8, Math.min(anchor.left, innerWidth - width - 8));
  const top = isBelow ? Math.min(anchor.bottom + 2, Math.max(8, innerHeight - height - 8)) : Math.max(8, anchor.top - height - 2);
  menu.style.setProperty('left', `${left}px`);
  menu.style.setProperty('top', `${top}px`);
}
