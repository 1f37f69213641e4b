// Small elements that several views have: text in place, buttons, the clipboard.
//
// Knows no view. Invariant: foreign text reaches the document as text alone, cut, its marks made visible (format.visible).

import { h, setAttr, setText } from './dom.js';
import { visible } from './format.js';

/** Characters of a text that a cell shows; the title has more. */
export const TEXT_MAX = 200;
const TITLE_MAX = 1000;

/** Shows foreign text in an element that isolates its direction (bdi), with a title where it was cut. Writes only what changed. */
export function showText(node, value, max = TEXT_MAX) {
  const text = visible(value, max);
  setText(node, text);
  setAttr(node, 'title', String(value ?? '').length > max ? visible(value, TITLE_MAX) : null);
}

/** A button that says what it does. */
export function button(text, onclick, props = {}) {
  return h('button', { type: 'button', class: 'button', text, ...props, on: { click: onclick, ...props.on } });
}

/** Copies text; says by `app.toast` whether that worked. */
export async function copyText(app, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copyBySelection(text)) {
      app.toast('The browser did not allow copying.');
      return;
    }
  }
  app.toast(`Copied: ${visible(text, 80)}`);
}

/** Without a secure context there is no clipboard interface: the old command does it. */
function copyBySelection(text) {
  const area = h('textarea', { class: 'off-screen', 'aria-hidden': 'true' });
  area.value = text;
  const before = document.activeElement;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  before?.focus?.({ preventScroll: true });
  return copied;
}

/** Lets a call through at most once per frame of the display. */
export function perFrame(call) {
  let frame = 0;
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      call();
    });
  };
  later.cancel = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  return later;
}
