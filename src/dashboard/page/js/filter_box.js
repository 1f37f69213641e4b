// The filter box: a line of the filter language with colours, completion, recent filters, and errors at their column.
//
// Owns the text as typed and its list of suggestions. Knows no view: who made it gets the text when it is submitted.
// Invariant: what was submitted last is what `onSubmit` got; typing alone asks for suggestions and nothing else.

import { tokens } from './filter_language.js';
import { h, setAttr } from './dom.js';
import { visible } from './format.js';

const RECENT_MAX = 20;
const SUGGESTIONS_MAX = 50;
const TYPING_PAUSE_MS = 120;
/** A filter longer than this is not kept or sent. */
const FILTER_MAX = 4096;

/** Characters (Unicode scalar values) before a place in UTF-16, and back. */
const toCharacters = (text, place) => [...text.slice(0, place)].length;
const toPlace = (text, characters) => [...text].slice(0, characters).join('').length;

let boxes = 0;

/** Filters used lately, latest first, in the browser's own store. */
class Recent {
  constructor(key) {
    this.key = `netscope.filters.${key}`;
  }

  list() {
    try {
      const list = JSON.parse(localStorage.getItem(this.key) ?? '[]');
      return Array.isArray(list) ? list.filter((entry) => typeof entry === 'string').slice(0, RECENT_MAX) : [];
    } catch {
      return []; // no store in this browser: nothing is recent
    }
  }

  add(filter) {
    if (!filter) return;
    try {
      const list = [filter, ...this.list().filter((entry) => entry !== filter)].slice(0, RECENT_MAX);
      localStorage.setItem(this.key, JSON.stringify(list));
    } catch {
      // Without a store filters are not kept.
    }
  }
}

/** Options: app, label, placeholder, recentKey, value, onSubmit(text), hasCompletion (true). */
export class FilterBox {
  constructor(options) {
    this.app = options.app;
    this.onSubmit = options.onSubmit;
    this.hasCompletion = options.hasCompletion ?? true;
    this.recent = new Recent(options.recentKey ?? 'flows');
    this.id = `filter-${(boxes += 1)}`;
    this.choices = [];
    this.chosen = -1;
    this.asked = 0;
    this.error = null;
    this.submitted = options.value ?? '';
    this.build(options);
    this.set(this.submitted);
  }

  build(options) {
    this.colours = h('div', { class: 'filter-colours', 'aria-hidden': 'true' });
    this.input = h('input', {
      class: 'filter-input', type: 'text', id: this.id, role: 'combobox', 'aria-label': options.label, 'aria-autocomplete': 'list',
      'aria-expanded': 'false', 'aria-controls': `${this.id}-list`, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
      maxlength: FILTER_MAX, placeholder: options.placeholder ?? '', enterkeyhint: 'search', 'data-filter': options.isMain !== false,
      on: {
        input: () => this.typed(), keydown: (event) => this.key(event), scroll: () => this.follow(), focus: () => this.focused(),
        blur: () => this.close(), click: () => this.askSoon(),
      },
    });
    this.list = h('div', { class: 'filter-list', id: `${this.id}-list`, role: 'listbox', 'aria-label': 'Suggestions', hidden: true });
    this.clear = h('button', {
      type: 'button', class: 'filter-clear', 'aria-label': 'Clear the filter', title: 'Clear', text: '×',
      on: { click: () => this.submit('', true) },
    });
    this.summary = h('div', { class: 'filter-summary' });
    this.message = h('div', { class: 'filter-message', id: `${this.id}-message`, role: 'alert', hidden: true });
    const field = h('div', { class: 'filter-field' }, this.colours, this.input);
    const line = h('div', { class: 'filter-line' }, field, this.clear, this.summary);
    this.element = h('div', { class: 'filter-box' }, line, this.list, this.message);
  }

  /** Shows a filter that is in force, without submitting it. */
  set(text) {
    this.submitted = text ?? '';
    if (this.input.value !== this.submitted) this.input.value = this.submitted;
    this.close();
    this.setError(null);
    this.paint();
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  /** Shows what the server said is wrong with the filter: {message, column, expected}; null: nothing. */
  setError(error) {
    this.error = error;
    this.message.hidden = !error;
    setAttr(this.input, 'aria-invalid', error ? 'true' : null);
    setAttr(this.input, 'aria-describedby', error ? this.message.id : null);
    this.element.classList.toggle('is-wrong', Boolean(error));
    if (error) {
      const expected = (error.expected ?? []).slice(0, 8).map((word) => visible(word, 40));
      this.message.replaceChildren(
        h('span', { text: error.column ? `Column ${error.column}: ` : '' }),
        h('b', { text: visible(error.message, 300) }),
        ...(expected.length > 0 ? [h('span', { text: ` Expected: ${expected.join(', ')}.` })] : []),
        ...(error.hint ? [h('span', { text: ` ${visible(error.hint, 200)}` })] : []),
      );
    }
    this.paint();
  }

  submit(text, isFocused) {
    const filter = text.trim();
    this.close();
    this.input.value = filter;
    this.submitted = filter;
    this.setError(null);
    this.recent.add(filter);
    if (isFocused) this.input.focus();
    this.close();
    this.onSubmit(filter);
  }

  /** Stops timers. */
  leave() {
    clearTimeout(this.timer);
    this.asked += 1;
  }

  // Colours

  paint() {
    const text = this.input.value;
    const wrongAt = this.error?.column ? toPlace(text, this.error.column - 1) : -1;
    const spans = [];
    for (const token of tokens(text)) {
      const isWrong = wrongAt >= token.start && wrongAt < token.start + token.text.length;
      spans.push(h('span', { class: `token-${token.kind}${isWrong ? ' is-wrong' : ''}`, text: token.text }));
    }
    if (wrongAt >= text.length) spans.push(h('span', { class: 'is-wrong', text: '\u00a0' }));
    this.colours.replaceChildren(...spans);
    this.clear.hidden = text === '';
    this.element.classList.toggle('is-changed', text.trim() !== this.submitted);
    this.follow();
  }

  follow() {
    this.colours.scrollLeft = this.input.scrollLeft;
  }

  // Suggestions

  typed() {
    if (this.error) this.setError(null);
    this.paint();
    this.askSoon();
  }

  focused() {
    if (this.input.value === '') this.askSoon();
  }

  askSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), TYPING_PAUSE_MS);
  }

  async ask() {
    const text = this.input.value;
    const at = this.input.selectionStart ?? text.length;
    this.asked += 1;
    const number = this.asked;
    const recent = text === '' ? this.recent.list().map((filter) => ({ kind: 'recent', label: filter, text: filter })) : [];
    let answer = { suggestions: [] };
    if (this.hasCompletion) {
      try {
        answer = await this.app.api('api/v1/complete', { filter: text, at: toCharacters(text, at) });
      } catch {
        answer = { suggestions: [] }; // Suggestions are a help only; the filter itself is judged when it is submitted.
      }
    }
    if (number !== this.asked || document.activeElement !== this.input) return;
    const from = toPlace(text, answer.from ?? toCharacters(text, at));
    const to = toPlace(text, answer.to ?? toCharacters(text, at));
    const words = (answer.suggestions ?? []).slice(0, SUGGESTIONS_MAX).map((entry) => ({ kind: 'word', ...entry, from, to }));
    this.open([...words.slice(0, recent.length > 0 ? 12 : SUGGESTIONS_MAX), ...recent]);
  }

  open(choices) {
    this.choices = choices;
    this.chosen = -1;
    this.listText = this.input.value; // the text that these suggestions are for
    const rows = choices.map((choice, index) => this.option(choice, index));
    const firstRecent = choices.findIndex((choice) => choice.kind === 'recent');
    if (firstRecent >= 0) rows.splice(firstRecent, 0, h('div', { class: 'filter-group', role: 'presentation', text: 'Recent filters' }));
    this.list.replaceChildren(...rows);
    this.list.hidden = choices.length === 0;
    setAttr(this.input, 'aria-expanded', choices.length > 0 ? 'true' : 'false');
    setAttr(this.input, 'aria-activedescendant', null);
    this.list.scrollTop = 0;
  }

  option(choice, index) {
    const label = h('span', { class: 'filter-option-label mono', text: visible(choice.text ?? choice.label, 80) });
    const detail = choice.kind === 'recent' ? '' : [choice.label !== choice.text && choice.label, choice.detail].filter(Boolean).join(' · ');
    return h('div', {
      class: 'filter-option', role: 'option', id: `${this.id}-option-${index}`, 'aria-selected': 'false',
      // The press must not take the focus from the input.
      on: { pointerdown: (event) => event.preventDefault(), click: () => this.take(index) },
    }, label, h('span', { class: 'filter-option-detail', text: visible(detail, 120) }));
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
    if (this.choices.length > 0 || !this.list.hidden) this.open([]);
  }

  choose(index) {
    this.list.querySelector('[aria-selected="true"]')?.setAttribute('aria-selected', 'false');
    this.chosen = index;
    const option = document.getElementById(`${this.id}-option-${index}`);
    option?.setAttribute('aria-selected', 'true');
    option?.scrollIntoView({ block: 'nearest' });
    setAttr(this.input, 'aria-activedescendant', option?.id ?? null);
  }

  take(index) {
    const choice = this.choices[index];
    if (choice.kind === 'recent') {
      this.submit(choice.text, true);
      return;
    }
    const text = this.input.value;
    this.input.value = text.slice(0, choice.from) + choice.text + text.slice(choice.to);
    const end = choice.from + choice.text.length;
    this.input.setSelectionRange(end, end);
    this.typed();
  }

  key(event) {
    if (event.isComposing) return;
    // Suggestions for a text that is no longer there are not taken.
    const isOpen = this.choices.length > 0 && this.listText === this.input.value;
    const count = this.choices.length;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!isOpen) this.ask();
      else if (event.key === 'ArrowDown') this.choose((this.chosen + 1) % count);
      else this.choose(this.chosen <= 0 ? count - 1 : this.chosen - 1);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      if (isOpen && this.chosen >= 0) this.take(this.chosen);
      else this.submit(this.input.value, true);
    } else if (event.key === 'Tab' && isOpen && this.chosen >= 0) {
      event.preventDefault();
      this.take(this.chosen);
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      if (isOpen) this.close();
      else if (this.input.value !== this.submitted) this.set(this.submitted);
      else this.input.blur();
    }
  }
}
