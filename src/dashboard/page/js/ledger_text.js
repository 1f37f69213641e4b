// Where packets went, in words: received = processed + each loss. Knows the ledger of a tick and no element.

import * as format from './format.js';

// For so long after a loss it is told as going on.
const RECENT_SECS = 60;
const NAMES = { interface_drops: 'card', kernel_drops: 'kernel', ring_full_drops: 'ring full', dispatch_drops: 'dispatch', filtered: 'filtered', damaged: 'damaged', skipped: 'skipped', fill_empty_drops: 'no frame free', beyond_count: 'beyond the count', unread_at_end: 'unread at the end', taps_skipped: 'copies skipped' };

// Losses of packets; copies, records and messages are told apart.
export const ofPackets = ({ unit }) => unit === undefined || unit === 'packets';
// What the user asked to leave out is no loss.
export const isLoss = (loss) => loss.layer !== 'filter' && loss.name !== 'beyond_count';
export const lossName = ({ name }) => NAMES[name] ?? format.visible(name, 40).replaceAll('_', ' ').replace(/ drops$/, '');

// { kind: 'ok' | 'was' | 'bad', text, more } for the ledger of a tick, at the time `now` of a capture that began at `started`,
// null for a file.
// `rate`: packets lost in the latest second, by name: [[name, packets]].
export function verdict(ledger, now, started, rate) {
  const lost = ledger.losses.filter((loss) => isLoss(loss) && ofPackets(loss) && loss.packets > 0);
  const others = ledger.losses.filter((loss) => !ofPackets(loss) && loss.packets > 0).map((loss) => `${format.count(loss.packets)} ${format.visible(loss.unit, 20)} (${lossName(loss)})`).join(', ');
  const besides = others ? `no packets, but ${others}` : '';
  if (ledger.unaccounted !== 0) return { kind: 'bad', text: `${format.exact(ledger.unaccounted)} packets are unaccounted for`, more: 'a fault of NetScope: please report it' };
  if (ledger.lost_total === 0 || lost.length === 0) return { kind: 'ok', text: `${others ? 'no packet' : 'nothing'} lost${started === null ? '' : ` since ${format.when(started, now)}`}`, more: besides };
  const where = lost.map((loss) => `${format.count(loss.packets)} ${lossName(loss)}`).join(', ');
  const share = ledger.received > 0 ? ledger.lost_total / (ledger.received + lost.filter((loss) => !loss.of_received).reduce((sum, loss) => sum + loss.packets, 0)) : null;
  const total = `${format.exact(ledger.lost_total)} lost in all (${format.percent(share)}): ${where}${others ? `; and ${others}` : ''}`;
  if (ledger.last_loss !== null && now - ledger.last_loss > RECENT_SECS) return { kind: 'was', text: `nothing lost since ${format.when(ledger.last_loss, now)}`, more: total };
  const going = rate.filter(([, packets]) => packets > 0);
  const text = going.length ? `losing ${going.map(([name, packets], i) => `${format.count(packets)}${i === 0 ? ' packets/s' : ''} at the ${name}`).join(', ')}` : `packets were lost at ${format.clock(ledger.last_loss)}`;
  return { kind: 'bad', text, more: total };
}

// What the latest tick lost, by who lost it: [[name, packets a second]].
export function lossRates(tick) {
  const per = 1000 / tick.interval_ms;
  return [['kernel', tick.kernel_drops * per], ['card', tick.kernel_if_drops * per], ['dispatch', tick.dispatch_drops * per]];
}
