// Made-up numbers that depend on the time alone, so that history and live data fit together.

// A number in [0, 1) from an integer and a seed; the finalizer of MurmurHash3.
export function hash01(n, seed = 0) {
  let h = (Math.imul(n | 0, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
}

// Smooth noise in [-1, 1] with the given period in seconds.
export function smooth(t, period, seed) {
  const x = t / period;
  const i = Math.floor(x);
  const f = x - i;
  const w = f * f * (3 - 2 * f);
  return 2 * (hash01(i, seed) * (1 - w) + hash01(i + 1, seed) * w) - 1;
}

// Several octaves of it.
export function wave(t, seed) {
  return 0.5 * smooth(t, 1400, seed) + 0.3 * smooth(t, 330, seed + 1) + 0.16 * smooth(t, 70, seed + 2) + 0.12 * smooth(t, 11, seed + 3) + 0.1 * (hash01(Math.floor(t), seed + 4) - 0.5);
}
