// Makes elements without markup, and shows text that came from packets.
//
// Owns how untrusted text becomes harmless. Knows no view. Invariant: data reaches the document as text nodes and attribute
// values alone, never as markup, and is cut before it gets there.

/** Characters of a text that a cell shows; the title has more. */
export const TEXT_MAX = 200;
const TITLE_MAX = 1000;
const SVG = 'http://www.w3.org/2000/svg';

// Marks and overrides of direction, and invisible characters that can hide or reorder what stands around them.
const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** The text with control and invisible characters made visible, cut to `max` characters. */
export function plain(value, max = TEXT_MAX) {
  let text = value === null || value === undefined ? '' : String(value);
  if (text.length > max) text = `${text.slice(0, max)}…`;
  return text
    .replace(CONTROL, (c) => (c.charCodeAt(0) < 0x20 ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '␡'))
    .replace(INVISIBLE, (c) => `‹${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}›`);
}

/** Shows untrusted text in an element, with a title where it was cut. Writes only what changed. */
export function showText(node, value, max = TEXT_MAX) {
  const text = plain(value, max);
  if (node.textContent !== text) node.textContent = text;
  const title = String(value ?? '').length > max ? plain(value, TITLE_MAX) : '';
  if (title) setAttribute(node, 'title', title);
  else if (node.hasAttribute('title')) node.removeAttribute('title');
}

/** Sets an attribute if it changes; null removes it. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? '' : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') node.textContent = value;
    else if (name === 'class') node.setAttribute('class', value);
    else if (name === 'on') for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (name === 'style') for (const [key, entry] of Object.entries(value)) node.style.setProperty(key, entry);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element. `attributes` may have `text`, `class`, `on` {type: listener} and `style` {property: value}. */
export function make(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
export function makeSvg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A button that says what it does. */
export function button(text, onclick, attributes = {}) {
  return make('button', { type: 'button', class: 'button', text, ...attributes, on: { click: onclick, ...attributes.on } });
}

/** Copies text; says by `app.toast` whether that worked. */
export async function copyText(app, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard interface: an old command does it.
    const area = make('textarea', { class: 'off-screen', 'aria-hidden': 'true' });
    area.value = text;
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    before?.focus?.();
    if (!copied) return app.toast('The browser did not allow copying.');
  }
  return app.toast(`Copied: ${plain(text, 80)}`);
}

/** Lets a call through at most once per frame of the display, with the latest arguments. */
export function perFrame(call) {
  let frame = 0;
  const later = () => {
    if (frame) return;
    frame = requestAnimationFrame(() => {
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
