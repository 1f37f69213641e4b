// Times that an axis names. Knows no drawing.

const MARK_STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const MARKS_MAX = 100;

/** Times between `from` and `to` that are round on the clock of this place, at most `most`. */
export function roundTimes(from, to, most) {
  const step = MARK_STEPS.find((secs) => Math.floor((to - from) / secs) <= most) ?? MARK_STEPS.at(-1);
  const zone = new Date(from * 1000).getTimezoneOffset() * 60;
  const times = [];
  for (let time = Math.ceil((from - zone) / step) * step + zone; time <= to && times.length < MARKS_MAX; time += step) times.push(time);
  return times;
}
