// The bar over the flows: filter with its totals, scope, table or Sankey, columns, export.
//
// Owns these controls. Knows no table: it says what was chosen. Invariant: it shows what is in force, also where the address changed.

import { h, setAttr, setText } from './dom.js';
import { button } from './elements.js';
import { FilterBox } from './filter_box.js';
import { bits, bytes, clock, exact, iso, visible } from './format.js';
import { openMenu } from './value_menu.js';

/** A choice of one in a row of buttons. `choices`: [[value, text, title]]. */
export function segmented(label, choices, onChoose) {
  const buttons = choices.map(([value, text, title]) => button(text, () => onChoose(value), { class: null, 'aria-pressed': 'false', title: title ?? null, 'data-value': value }));
  const element = h('div', { class: 'segments', role: 'group', 'aria-label': label }, ...buttons);
  const show = (value) => buttons.forEach((one) => setAttr(one, 'aria-pressed', String(one.dataset.value === value)));
  return { element, show };
}

/** Options: onFilter(text), onScope(scope), onShow(show), onColumns(), exportUrl(format). */
export class FlowsBar {
  constructor(app, options) {
    this.box = new FilterBox({
      app, label: 'Filter flows', placeholder: 'Filter, for example host:10.0.0.0/8 !port:443 state:established', recentKey: 'flows', onSubmit: options.onFilter,
    });
    this.flows = h('b', {});
    this.rest = h('span', {});
    this.whole = h('span', { class: 'totals-whole' });
    this.totals = h('div', { class: 'totals', 'aria-label': 'Totals of what is filtered', role: 'group' }, this.flows, this.rest, this.whole);
    this.box.summary.append(this.totals);
    this.scope = segmented('Which flows', [['all', 'All', 'Live flows and those that ended lately'], ['live', 'Live'], ['ended', 'Ended']], options.onScope);
    this.show = segmented('Shown as', [['table', 'Table'], ['sankey', 'Sankey']], options.onShow);
    this.columns = button('Columns', options.onColumns, { class: 'button columns-button' });
    const exporting = button('Export', () => openMenu(exporting, 'Export', [{
      title: 'The flows of this filter, at most 10,000',
      items: [['CSV', 'csv'], ['JSON', 'json']].map(([label, format]) => ({ label: `Download ${label}`, run: () => download(options.exportUrl(format), `flows.${format}`) })),
    }]), { class: 'button', 'aria-haspopup': 'menu' });
    this.element = h('div', { class: 'work-bar' }, this.box.element, h('div', { class: 'work-bar-rest' }, this.scope.element, this.show.element, this.columns, exporting));
  }

  /** Totals of an answer about flows. */
  showTotals(answer) {
    const { matched } = answer;
    setText(this.flows, `${exact(matched.flows)}${answer.looked_at > matched.flows ? ` of ${exact(answer.looked_at)}` : ''} ${matched.flows === 1 && answer.looked_at <= 1 ? 'flow' : 'flows'}`);
    setText(this.rest, ` · ${bytes(matched.bytes)} · ${bits(matched.bps)}`);
    const why = visible(answer.why ?? 'some flows could not be read', 120);
    setText(this.whole, answer.whole ? ` · whole table at ${clock(answer.time)}` : ` · ⚠ incomplete at ${clock(answer.time)}: ${why}`);
    setAttr(this.whole, 'title', `${iso(answer.time)} (UTC)${answer.whole ? '' : `, ${why}`}`);
    this.whole.classList.toggle('is-warn', !answer.whole);
  }

  leave() {
    this.box.leave();
  }
}

/** Downloads an address under a name. */
export function download(address, name) {
  const link = h('a', { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
