// The keyboard: single keys, `g` and a letter, and the dialog that shows them.

import { h } from './dom.js';

const CHORD_MS = 1200;
const TEXTS = [
  ['g w', 'Wall'], ['g f', 'Flows'], ['g p', 'Packets'], ['g a', 'Alerts'], ['g s', 'System'], ['/', 'Filter'], ['Space', 'Stand still, go on'],
  ['← →', 'Half a length back, on'], ['1 2 3', '5 min, 1 h, 24 h'], ['t', 'Light, dark, as the system'], ['r', 'Rotate through the wall’s pages'], ['?', 'These keys'], ['Esc', 'Close, or leave the filter'],
];

const isOn = () => { try { return localStorage.getItem('netscope.keys') !== 'off'; } catch { return true; } };

// `actions`: go(view), filter(), pause(), step(direction), span(index), theme(), rotate().
export function startKeys(actions) {
  let chord = 0;
  const dialog = makeDialog();
  const goes = { w: 'wall', f: 'flows', p: 'packets', a: 'alerts', s: 'system' };
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !isOn() || dialog.open) return;
    const { target } = event;
    if (target instanceof Element && target.closest('input, textarea, select, [contenteditable], dialog[open]')) return;
    const is_control = target instanceof Element && target.closest('button, a, summary, [role="grid"], [role="listbox"], [role="tab"], [role="slider"], [role="treegrid"], [tabindex]:not(main)');
    const key = event.key;
    if (performance.now() - chord < CHORD_MS && goes[key]) { chord = 0; event.preventDefault(); actions.go(goes[key]); return; }
    chord = key === 'g' ? performance.now() : 0;
    if (key === '/') { event.preventDefault(); actions.filter(); }
    else if (key === '?') dialog.showModal();
    else if (key === 't') actions.theme();
    else if (key === 'r') actions.rotate();
    else if (key === ' ' && !is_control) { event.preventDefault(); actions.pause(); }
    else if ((key === 'ArrowLeft' || key === 'ArrowRight') && !is_control) actions.step(key === 'ArrowLeft' ? -1 : 1);
    else if ('123'.includes(key)) actions.span(Number(key) - 1);
  });
  return () => dialog.showModal();
}

function makeDialog() {
  const check = h('input', { type: 'checkbox', id: 'keys-on' });
  check.checked = isOn();
  check.addEventListener('change', () => { try { localStorage.setItem('netscope.keys', check.checked ? 'on' : 'off'); } catch { check.checked = true; } });
  const rows = TEXTS.flatMap(([keys, text]) => [h('dt', {}, keys.split(' ').map((key) => h('kbd', { text: key }))), h('dd', { text })]);
  const close = h('button', { class: 'button', type: 'button', autofocus: true, text: 'Close', on: { click: () => dialog.close() } });
  const dialog = h('dialog', { class: 'dialog keys', 'aria-labelledby': 'keys-title' },
    h('h2', { id: 'keys-title', text: 'Keys' }), h('dl', {}, rows), h('footer', {}, h('label', { for: 'keys-on' }, check, ' Use single keys'), close));
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  return dialog;
}
