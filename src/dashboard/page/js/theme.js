// Light, dark, or what the system says.

import { Emitter } from './emitter.js';

const emitter = new Emitter();
const dark = matchMedia('(prefers-color-scheme: dark)');
export const THEMES = ['auto', 'light', 'dark'];

export const current = () => document.documentElement.dataset.theme ?? 'auto';

export function apply(theme, { keep = false } = {}) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  if (keep) try { localStorage.setItem('netscope.theme', theme); } catch { /* storage is off: it holds for this page */ }
  emitter.emit('change', theme);
}

dark.addEventListener('change', () => { if (current() === 'auto') emitter.emit('change', 'auto'); });

export const on = (listener) => emitter.on('change', listener);

const colours = new Map();
emitter.on('change', () => colours.clear());

// The colour that a token of tokens.css stands for now; for canvases.
export function colour(name) {
  if (!colours.has(name)) {
    const probe = document.getElementById('colour-probe');
    probe.style.setProperty('color', `var(--${name})`);
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

// The same with an opacity of 0 to 1.
export function faded(name, opacity) {
  const parts = colour(name).match(/[\d.]+/g);
  return `rgba(${parts.slice(0, 3).join(', ')}, ${opacity})`;
}
