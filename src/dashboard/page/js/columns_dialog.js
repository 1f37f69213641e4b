// The dialog in which columns are chosen, searched and ordered.
//
// Owns the choice until it is confirmed. Knows no table. Invariant: at least one column is chosen.

import { h } from './dom.js';
import { button } from './elements.js';
import { visible } from './format.js';
import { COLUMNS_MAX, columnChoices, defaultColumns } from './flow_columns.js';

/** Opens the dialog with the columns in force; `onChoose(keys)` is called when it is confirmed. */
export function openColumnsDialog(fields, current, onChoose) {
  let chosen = [...current];
  const groups = columnChoices(fields);
  const labels = new Map(groups.flatMap(([, list]) => list.map((choice) => [choice.key, choice.label])));
  const boxes = new Map();
  const title = h('h2', { id: 'columns-title', text: 'Columns' });
  const search = h('input', { type: 'search', class: 'input', placeholder: 'Search fields', 'aria-label': 'Search fields', on: { input: () => find() } });
  const order = h('ol', { class: 'columns-order', 'aria-label': 'Chosen columns, in order' });
  const nothing = h('p', { class: 'dim', text: 'No field has this in its name or description.', hidden: true });

  const sections = groups.map(([group, list]) => {
    const rows = list.map((choice) => {
      const box = h('input', { type: 'checkbox', on: { change: () => toggle(choice.key, box.checked) } });
      box.checked = chosen.includes(choice.key);
      boxes.set(choice.key, box);
      const row = h('label', { class: 'columns-choice' }, box, h('span', {}, h('b', { text: visible(choice.label, 60) }),
        h('span', { class: 'dim', text: visible(choice.description ?? '', 160) })));
      row.found = `${choice.label} ${choice.key} ${choice.description ?? ''} ${group}`.toLowerCase();
      return row;
    });
    return { rows, element: h('fieldset', {}, h('legend', { text: visible(group, 60) }), ...rows) };
  });

  function find() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of sections) {
      let shown = 0;
      for (const row of section.rows) {
        row.hidden = !words.every((word) => row.found.includes(word));
        if (!row.hidden) shown += 1;
      }
      section.element.hidden = shown === 0;
      count += shown;
    }
    nothing.hidden = count > 0;
  }

  function toggle(key, isChosen) {
    chosen = chosen.filter((other) => other !== key);
    if (isChosen) chosen.push(key);
    showOrder();
  }

  function move(key, by) {
    const at = chosen.indexOf(key);
    const to = at + by;
    if (to < 0 || to >= chosen.length) return;
    chosen.splice(at, 1);
    chosen.splice(to, 0, key);
    showOrder();
    order.children[to]?.querySelector(by < 0 ? '.is-up' : '.is-down')?.focus();
  }

  function showOrder() {
    order.replaceChildren(...chosen.map((key, index) => {
      const label = visible(labels.get(key) ?? key, 60);
      return h('li', {}, h('span', { text: label }),
        button('↑', () => move(key, -1), { class: 'icon-button is-up', 'aria-label': `Move ${label} up`, disabled: index === 0 }),
        button('↓', () => move(key, 1), { class: 'icon-button is-down', 'aria-label': `Move ${label} down`, disabled: index === chosen.length - 1 }),
        button('×', () => { boxes.get(key).checked = false; toggle(key, false); search.focus(); }, { class: 'icon-button', 'aria-label': `Remove ${label}` }));
    }));
    apply.disabled = chosen.length === 0 || chosen.length > COLUMNS_MAX;
    count.textContent = `${chosen.length} chosen`;
  }

  const apply = button('Show these columns', () => { dialog.close(); onChoose(chosen); }, { class: 'button primary' });
  const count = h('span', { class: 'dim' });
  const reset = button('Default', () => {
    chosen = defaultColumns(fields).filter((key) => boxes.has(key));
    boxes.forEach((box, key) => { box.checked = chosen.includes(key); });
    showOrder();
  });
  const dialog = h('dialog', { class: 'dialog columns-dialog', 'aria-labelledby': 'columns-title' },
    h('header', {}, title, search),
    h('div', { class: 'columns-body' }, h('div', { class: 'columns-choices', tabindex: '0', role: 'region', 'aria-label': 'All fields' },
      ...sections.map((section) => section.element), nothing), h('div', { class: 'columns-chosen' }, h('h3', { text: 'In this order' }), order)),
    h('footer', {}, count, reset, button('Cancel', () => dialog.close()), apply));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  showOrder();
  document.body.append(dialog);
  dialog.showModal();
  search.focus();
}
