// Elements without markup: all text goes in as text.

import { visible } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';

// An element. `props`: class, text, attributes by name, `on` {event: listener}, `style` {property: value}, `data` {name: value}.
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

// The same in SVG.
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') element.textContent = value;
    else if (name === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === 'style') for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else if (name === 'data') for (const [key, text] of Object.entries(value)) element.dataset[key] = text;
    else element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

// Sets text only where it changed.
export function setText(element, text) {
  const next = String(text);
  if (element.textContent !== next) element.textContent = next;
}

// Sets or removes an attribute only where it changed.
export function setAttr(element, name, value) {
  if (value === null || value === undefined || value === false) { if (element.hasAttribute(name)) element.removeAttribute(name); return; }
  const next = value === true ? '' : String(value);
  if (element.getAttribute(name) !== next) element.setAttribute(name, next);
}

// Foreign text, isolated and cut; the title has the longer form.
export function foreign(text, max = 200, props = {}) {
  const full = visible(text, 2000);
  const short = visible(text, max);
  return h('bdi', { ...props, class: `foreign ${props.class ?? ''}`.trim(), title: full === short && full.length < 24 ? null : full, text: short });
}

// Keeps the children of `parent` equal to `items`: elements are made once per key, updated in place and reordered.
export function list(parent, items, keyOf, make, update) {
  const known = parent.keyed ?? (parent.keyed = new Map());
  const next = new Map();
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (next.has(key)) continue;
    let element = known.get(key);
    if (!element) element = make(item);
    next.set(key, element);
    update(element, item);
    if (element === at) at = at.nextSibling;
    else parent.insertBefore(element, at);
  }
  for (const [key, element] of known) if (!next.has(key)) element.remove();
  parent.keyed = next;
}
