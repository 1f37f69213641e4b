// The rotation of the wall: from page to page after so many seconds each.
//
// Owns when the page changes. Knows no element and no address: it is told what happens and calls `turn`. Invariants: it never turns while
// an alert is new or while nobody can see the page; whoever uses the keyboard or the pointer stops it.

/** The wall's pages in their order: [name, title]. */
export const PAGES = [['overview', 'Overview'], ['talkers', 'Talkers'], ['alerts', 'Alerts']];
/** Seconds of a page where the address says none, the least and the most that it may say. */
export const ROTATE_DEFAULT = 30;
export const ROTATE_MIN = 5;
export const ROTATE_MAX = 3600;
/** An alert that is open and was not acknowledged is new for so many seconds. */
export const NEW_ALERT_SECS = 60;

/** The `rotate` of an address in seconds; null where it does not rotate. */
export function rotateSecs(text) {
  if (text === null || text === undefined || !/^\d{1,6}$/.test(text) || Number(text) === 0) return null;
  return Math.min(ROTATE_MAX, Math.max(ROTATE_MIN, Number(text)));
}

/** The alert that is new at `now`, the latest one; null without any. */
export function newAlert(alerts, now) {
  let latest = null;
  for (const alert of alerts) {
    const is_new = alert.state === 'open' && !alert.acknowledged && now - alert.began < NEW_ALERT_SECS;
    if (is_new && (latest === null || alert.began > latest.began)) latest = alert;
  }
  return latest;
}

export class Rotation {
  /** `turn()` shows the next page. */
  constructor(turn) {
    this.turn = turn;
    this.secs = null;
    this.left = 0;
  }

  /** Rotates with so many seconds for each page from now on; null stops. */
  set(secs) {
    if (secs === this.secs) return;
    this.secs = secs;
    this.left = secs ?? 0;
  }

  /** A page was shown by other means: it gets its whole time. */
  restart() {
    this.left = this.secs ?? 0;
  }

  /** So many seconds have passed. While `is_held`, the page stays, and gets its whole time afterwards. */
  pass(secs, is_held) {
    if (this.secs === null) return;
    if (is_held) { this.left = this.secs; return; }
    this.left -= secs;
    if (this.left > 1e-6) return;
    this.left = this.secs;
    this.turn();
  }
}
