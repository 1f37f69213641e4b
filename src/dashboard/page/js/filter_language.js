// The outer form of the filter language: words, operators, strings. For colours, and to put terms together.
//
// Owns no meaning: the server parses. Invariant: the parts of `tokens(text)` joined are `text`.

const TOKEN = /(\s+)|("(?:[^"\\]|\\.)*"?)|([()])|(!(?=[\w(!]))|(&&|\|\||\b(?:or|and|not)\b)|([A-Za-z_][\w.-]*)(:)|(>=|<=|[<>=])|([^\s()":<>=!~]+|.)/giy;
const NAMES = ['space', 'string', 'paren', 'negation', 'operator', 'word', 'colon', 'comparison', 'value'];

/** Splits a filter: `[{kind, text, start}]`, kinds as in NAMES. What follows `word:` up to a space or bracket is its value. */
export function tokens(text) {
  const found = [];
  let inValue = false;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) break;
    for (let group = 1; group <= NAMES.length; group += 1) {
      if (match[group] === undefined) continue;
      let kind = NAMES[group - 1];
      if (kind === 'space' || kind === 'paren') inValue = false;
      else if (kind === 'colon') inValue = true;
      else if (inValue && kind !== 'comparison' && kind !== 'string') kind = 'value';
      if (kind === 'colon' && found.at(-1)?.kind === 'value') kind = 'value';
      const at = start + match[0].indexOf(match[group], group === 7 ? match[6].length : 0);
      found.push({ kind, text: match[group], start: at });
    }
  }
  return found;
}

/** A value as it stands behind `word:`. */
export function quoted(value) {
  const text = String(value);
  if (text !== '' && !/[\s()"',*?\\]|^[<>=]/.test(text)) return text;
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

/** A term, negated if so. */
export function term(word, value, isNegated = false) {
  return `${isNegated ? '!' : ''}${word}:${quoted(value)}`;
}

/** Whether a filter has an alternative outside brackets, so that it must stand in brackets before a term is added. */
function hasAlternative(text) {
  let depth = 0;
  for (const token of tokens(text)) {
    if (token.text === '(') depth += 1;
    else if (token.text === ')') depth -= 1;
    else if (depth === 0 && token.kind === 'operator' && /^(or|\|\|)$/i.test(token.text)) return true;
  }
  return false;
}

/** The filter that asks for both. A term that is there already is not added again; its opposite is replaced. */
export function withTerm(filter, added) {
  const before = (filter ?? '').trim();
  if (!before || before === added) return added;
  if (hasAlternative(before)) return `(${before}) ${hasAlternative(added) ? `(${added})` : added}`;
  const opposite = added.startsWith('!') ? added.slice(1) : `!${added}`;
  const parts = split(before).filter((part) => part !== opposite && part !== added);
  parts.push(hasAlternative(added) ? `(${added})` : added);
  return parts.join(' ');
}

/** Terms outside brackets, in order. */
function split(text) {
  const parts = [];
  let depth = 0;
  let part = '';
  for (const token of tokens(text)) {
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (token.kind === 'space' && depth <= 0) {
      if (part) parts.push(part);
      part = '';
    } else part += token.text;
  }
  if (part) parts.push(part);
  return parts;
}
