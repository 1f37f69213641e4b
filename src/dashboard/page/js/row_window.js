// Rows of a long answer, fetched in windows as they are looked at, and refreshed in place.
//
// Owns which rows are known at which place, and the requests for them. Knows no element and no field. Invariants: at most
// WINDOWS_KEPT windows are kept; an answer that came too late for its question is dropped; while the order is held, a row stays
// where it is and only its values change.

/** Rows of a request. */
export const WINDOW = 100;
/** The server shows no row behind this one. */
export const ROWS_MAX = 10_000;
const WINDOWS_KEPT = 12;

/** `fetchRows(offset, limit, snapshot)` gives {rows, answer}; `onChange(answer, error, isFirst)` is told of each answer. */
export class RowWindow {
  constructor(fetchRows, keyOf, onChange) {
    this.fetchRows = fetchRows;
    this.keyOf = keyOf;
    this.onChange = onChange;
    this.isHeld = false;
    this.isOld = false;
    this.generation = 0;
    this.wanted = [0, 0];
    this.windows = new Map(); // number of the window -> {rows}
    this.waiting = new Map();
  }

  /** The question is another one. What is shown stays until its first answer is there. */
  restart() {
    this.waiting = new Map(); // number of the window -> promise
    this.generation += 1;
    this.isOld = true;
    this.ask(0);
  }

  /** Forgets all, and lets no answer in any more. */
  clear() {
    this.windows.clear();
    this.waiting.clear();
    this.generation += 1;
  }

  /** The row at a place, undefined where it is not known. */
  rowAt(index) {
    return this.windows.get(Math.floor(index / WINDOW))?.rows[index % WINDOW];
  }

  /** Sees to it that these rows are there: what is missing is asked for. */
  want(from, to) {
    if (this.isOld) return; // Its first answer is on its way.
    this.wanted = [Math.floor(from / WINDOW), Math.floor(Math.max(from, Math.min(to, ROWS_MAX) - 1) / WINDOW)];
    for (let number = this.wanted[0]; number <= this.wanted[1]; number += 1) {
      if (!this.windows.has(number) && !this.waiting.has(number)) this.ask(number);
    }
    this.forgetFar();
  }

  /** Asks again for the windows that are looked at. Returns whether it asked: not while an answer is on its way. */
  refresh() {
    if (this.waiting.size > 0) return false;
    if (!this.isHeld) this.forgetUnseen();
    this.refreshWanted();
    return true;
  }

  /** The last window first: the server keeps its answer for a moment, and the others are taken from that, so that they fit together. */
  async refreshWanted() {
    const [first, last] = this.wanted;
    const answer = await this.ask(last);
    for (let number = first; number < last; number += 1) this.ask(number, answer?.snapshot);
  }

  async ask(number, snapshot) {
    const { generation } = this;
    const started = performance.now();
    const request = this.fetchRows(number * WINDOW, Math.min(WINDOW, ROWS_MAX - number * WINDOW), snapshot);
    this.waiting.set(number, request);
    let found;
    try {
      found = await request;
    } catch (error) {
      if (generation === this.generation) {
        this.waiting.delete(number);
        // An answer that is not kept any more is no fault: the next refresh asks anew.
        if (!(snapshot && error.status === 410)) this.onChange(null, error);
      }
      return null;
    }
    if (generation !== this.generation) return null;
    this.waiting.delete(number);
    this.tookMs = performance.now() - started;
    const isFirst = this.isOld;
    if (isFirst) this.windows.clear();
    this.isOld = false;
    this.put(number, found.rows);
    this.onChange(found.answer, null, isFirst);
    return found.answer;
  }

  put(number, rows) {
    const before = this.windows.get(number)?.rows;
    if (!this.isHeld || !before) {
      this.windows.set(number, { rows });
      return;
    }
    // Held: new values for the rows that are shown, wherever they are now. A row that is not among them keeps its last values.
    const fresh = new Map(rows.map((row) => [this.keyOf(row), row]));
    for (const window of this.windows.values()) {
      window.rows = window.rows.map((row) => fresh.get(this.keyOf(row)) ?? row);
    }
  }

  /** Windows that nobody looks at would show an older order when somebody does. */
  forgetUnseen() {
    for (const number of [...this.windows.keys()]) if (number < this.wanted[0] || number > this.wanted[1]) this.windows.delete(number);
  }

  forgetFar() {
    if (this.windows.size <= WINDOWS_KEPT) return;
    const middle = (this.wanted[0] + this.wanted[1]) / 2;
    const byDistance = [...this.windows.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const number of byDistance.slice(0, this.windows.size - WINDOWS_KEPT)) this.windows.delete(number);
  }
}
