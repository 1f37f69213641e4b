// What of the page needs no browser: formats, the history's memory, alerts and losses in words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readdir, readFile, stat } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as format from '../../src/dashboard/page/js/format.js';
import { History, Ring } from '../../src/dashboard/page/js/history.js';
import * as words from '../../src/dashboard/page/js/alert_text.js';
import { lossRates, verdict } from '../../src/dashboard/page/js/ledger_text.js';
import { roundTimes } from '../../src/dashboard/page/js/axis_times.js';
import { newAlert, NEW_ALERT_SECS, Rotation, ROTATE_MAX, ROTATE_MIN, rotateSecs } from '../../src/dashboard/page/js/wall_rotation.js';
import { Socket } from '../../src/dashboard/page/js/socket.js';
import { valueOf } from '../../src/dashboard/page/js/flow_fields.js';
import { alertsAt } from './mock/alerts.mjs';

const PAGE = fileURLToPath(new URL('../../src/dashboard/page/', import.meta.url));
const COMPRESSED_MAX = 300_000;

test('numbers have three significant digits and the unit that fits', () => {
  const cases = [[0, '0 bit/s'], [999, '999 bit/s'], [999.6, '1.00 kbit/s'], [7.42e9, '7.42 Gbit/s'], [74.2e9, '74.2 Gbit/s'], [999.4e6, '999 Mbit/s'], [999.5e6, '1.00 Gbit/s'], [0.5, '0.500 bit/s'], [-2e6, '−2.00 Mbit/s'], [null, '– bit/s'], [NaN, '– bit/s']];
  for (const [value, text] of cases) assert.equal(format.bits(value), text);
  assert.equal(format.ms(0.8), '800 µs');
  assert.equal(format.ms(48), '48.0 ms');
  assert.equal(format.percent(0.0004), '< 0.1 %');
  assert.equal(format.duration(7200), '2 h');
  assert.equal(format.duration(131), '2 min 11 s');
  assert.equal(format.exact(14203551002), '14,203,551,002');
});

test('a fact of a flow is found in its object and under the name of its column', () => {
  const flow = { client: 'b_to_a', client_ip: '10.0.0.1', tls: { sni: 'www.example.com' }, dns_name: ['a'] };
  assert.equal(valueOf(flow, 'tls_sni'), 'www.example.com');
  assert.equal(valueOf(flow, 'tls.sni'), 'www.example.com');
  assert.deepEqual(valueOf(flow, 'dns_name'), ['a']);
  assert.equal(valueOf(flow, 'client_ip'), '10.0.0.1');
  for (const name of ['tls_version', 'quic_sni', 'client_port', 'bytes_total']) assert.equal(valueOf(flow, name), undefined, name);
});

test('foreign text cannot turn the line around, ring a bell or be endless', () => {
  assert.equal(format.visible('a\u202eb\u0007\u001b[31m\u0085'), 'a‹U+202E›b␇␛[31m␦');
  assert.equal(Array.from(format.visible('x'.repeat(1e6), 20)).length, 20);
  assert.equal(format.visible(null), '');
});

const tick = (ts, bytes, more = {}) => ({ ts, interval_ms: 1000, bytes, packets: 1, active_flows: 3, dispatch_drops: 0, kernel_drops: 0, kernel_if_drops: 0, direction: null, microbursts: [], ...more });

test('a ring forgets what is older than its size, and knows nothing of what it was not told', () => {
  const ring = new Ring(1, 10, ['bytes']);
  ring.set(100, 'bytes', 1);
  ring.set(105, 'bytes', 2);
  assert.deepEqual([100, 103, 105, 106].map((slot) => ring.get(slot, 'bytes')), [1, NaN, 2, NaN]);
  ring.set(1e9, 'bytes', 3);
  assert.ok(Number.isNaN(ring.get(105, 'bytes')));
  assert.ok(Number.isNaN(ring.get(1e9 - 3, 'bytes')), 'what lies between is unknown, not what stood there before');
  ring.set(50, 'bytes', 9);
  assert.ok(Number.isNaN(ring.get(50, 'bytes')), 'the past does not come back');
});

test('what a tick and the history both tell counts once', () => {
  const history = new History();
  history.connect(1000);
  history.fill(history.seconds, { from: 990, series: { bytes: { values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 77] } } });
  history.tick(tick(1001, 500));
  assert.equal(history.seconds.get(1000, 'bytes'), 500);
  assert.equal(history.seconds.get(999, 'bytes'), 10);
  history.fill(history.seconds, { from: 998, series: { bytes: { values: [9, 10, 77] } } });
  assert.equal(history.seconds.get(1000, 'bytes'), 500, 'a later answer leaves it');
});

test('ticks whose times tremble around a full second leave no hole and none twice', () => {
  const history = new History();
  history.connect(1000);
  for (let i = 1; i <= 20; i++) history.tick(tick(1000 + i + (i % 2 ? 0.04 : -0.04), 100));
  const values = Array.from({ length: 20 }, (_, i) => history.seconds.get(1000 + i, 'bytes'));
  assert.deepEqual(values, Array(20).fill(100));
});

test('short ticks add up, long ones are spread, missed ones are a gap that the history fills', () => {
  const history = new History();
  history.connect(1000);
  for (let i = 1; i <= 8; i++) history.tick(tick(1000 + i / 4, 10, { interval_ms: 250 }));
  assert.equal(history.seconds.get(1000, 'bytes'), 40);
  assert.equal(history.seconds.get(1001, 'bytes'), 40);
  const long = new History();
  long.connect(1000);
  assert.equal(long.tick(tick(1005, 100, { interval_ms: 5000 })), false);
  assert.equal(long.seconds.get(1003, 'bytes'), 20);
  assert.equal(long.tick(tick(1025, 100, { interval_ms: 5000 })), true, 'it says that some are missing');
  const out = long.points(long.seconds, 1000, 1025, 5, 'bytes', { times: [], mean: [], peak: [] });
  assert.deepEqual(out.mean, [20, null, null, null, 20]);
  long.fill(long.seconds, { from: 1005, series: { bytes: { values: Array(15).fill(7) } } });
  assert.deepEqual(long.points(long.seconds, 1000, 1025, 5, 'bytes', out).mean, [20, 7, 7, 7, 20]);
});

test('points do not change while time moves on', () => {
  const history = new History();
  history.connect(0);
  for (let i = 1; i < 200; i++) history.tick(tick(i, i * 10));
  const at = (from) => history.points(history.seconds, from, from + 100, 10, 'bytes', { times: [], mean: [], peak: [] });
  const [first, later] = [at(20), at(23)];
  assert.equal(first.times[3], later.times[3]);
  assert.equal(first.mean[3], later.mean[3]);
  assert.equal(first.peak[3], 600);
});

test('an alert in words: subject, filter, evidence, how far a threshold was crossed', () => {
  const alerts = alertsAt(1e6, 1e6 - 86400, new Map(), 1e6 - 86400);
  const flood = alerts.find(({ kind }) => kind === 'syn_flood');
  assert.equal(words.title(flood), 'SYN flood → 203.0.113.80:443');
  assert.equal(words.filterOf(flood), 'host:203.0.113.80 port:443');
  assert.deepEqual(words.thresholds(flood)[1], { label: 'Sources', value: '9,800', limit: '50', times: 196 });
  assert.ok(words.evidence(flood).some(([label, text]) => label === 'Different sources' && text.startsWith('≈ 9,800')));
  assert.equal(words.endpointText({ ip: '2001:db8::1', port: 53, network: null }), '[2001:db8::1]:53');
  assert.equal(words.filterOf({ attacker: null, victim: null, top_sources: [] }), '');
});

test('a loss is told with its place, and as long as it goes on', () => {
  const ledger = (kernel, last_loss) => ({ received: 1000, processed: 1000 - kernel, unaccounted: 0, lost_total: kernel, last_loss, losses: [{ layer: 'kernel', name: 'kernel_drops', packets: kernel, unit: 'packets', of_received: true }, { layer: 'output', name: 'x', packets: 4, unit: 'messages', of_received: false }] });
  const rates = (kernel_drops) => lossRates({ interval_ms: 500, kernel_drops, kernel_if_drops: 0, dispatch_drops: 0 });
  assert.equal(verdict(ledger(0, null), 100, 50, rates(0)).kind, 'ok');
  assert.match(verdict(ledger(0, null), 100, 50, rates(0)).more, /4 messages \(x\)/);
  const now = verdict(ledger(50, 99), 100, 50, rates(50));
  assert.equal(now.kind, 'bad');
  assert.match(now.text, /losing 100 packets\/s at the kernel/);
  assert.equal(verdict(ledger(50, 99), 1000, 50, rates(0)).kind, 'was');
  assert.equal(verdict({ ...ledger(0, null), unaccounted: 3 }, 100, 50, []).kind, 'bad');
});

async function filesOf(directory) {
  const found = [];
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if ((await stat(path)).isDirectory()) found.push(...await filesOf(path)); else found.push(path);
  }
  return found;
}

test('the page is small, asks nobody else and has no markup from strings', async () => {
  let total = 0;
  for (const path of await filesOf(PAGE)) {
    const bytes = await readFile(path);
    total += path.endsWith('.woff2') ? bytes.length : gzipSync(bytes).length;
    if (path.includes('vendor') || !/\.(js|css|html)$/.test(path)) continue;
    const text = bytes.toString();
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, path);
    assert.doesNotMatch(text.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\//, path);
    if (path.endsWith('.html')) assert.doesNotMatch(text, /<style|\sstyle=|\son[a-z]+=|(?:src|href)="\//, path);
  }
  assert.ok(total < COMPRESSED_MAX, `${total} bytes compressed`);
});

test('a server whose clock is ahead has a positive offset, whatever the way takes', () => {
  const measured = (ahead_ms, way_ms) => {
    const socket = { rtt: { last_ms: null, offset_ms: null, samples: new Float64Array(4), next: 0 } };
    const now = Date.now();
    Socket.prototype.pong.call(socket, { client_ts: now - 2 * way_ms, server_ts: now - way_ms + ahead_ms });
    return socket.rtt;
  };
  const near = (value, wanted) => assert.ok(Math.abs(value - wanted) < 20, `${value} is not ${wanted}`);
  near(measured(1000, 40).offset_ms, 1000);
  near(measured(1000, 40).last_ms, 80);
  near(measured(-500, 200).offset_ms, -500);
});

test('counts in a sentence stand in groups of three; ports, addresses and names do not', () => {
  assert.equal(words.grouped('11699481 attempts from about 9800 sources, 0.4 % completed'), '11,699,481 attempts from about 9,800 sources, 0.4 % completed');
  for (const text of ['port 44312 of 10.0.0.1', 'ports 44312 and 44313 of it', '10.0.0.1:44312 is open', 'host4431299 is up', 'AS 64512', '0.12345 of it', '99999999999999999999 packets']) assert.equal(words.grouped(text), text);
});

test('marks of an axis are round, in order, inside, and not too many', () => {
  const day = 1_700_000_000;
  for (const [from, to, most] of [[day, day + 300, 4], [day + 7, day + 3607, 10], [day, day + 86400, 12], [day, day + 10, 5], [day, day + 90 * 86400, 8], [day, day, 3]]) {
    const times = roundTimes(from, to, most);
    assert.ok(times.every((time, i) => time >= from && time <= to && (i === 0 || time > times[i - 1])), `${from} ${to}`);
    assert.ok(times.length <= 100);
    if (to - from >= 300 && to - from <= 86400) assert.ok(times.length >= 1 && times.length <= most + 1 && times.every((time) => time % 60 === 0), `${to - from}: ${times}`);
  }
});

test('the rotation turns after its time, waits while it is held, and reads its seconds from the address', () => {
  let turns = 0;
  const rotation = new Rotation(() => { turns += 1; });
  rotation.pass(1000, false);
  assert.equal(turns, 0, 'it does not turn before it is set');
  rotation.set(30);
  rotation.pass(29, false);
  assert.equal(turns, 0);
  rotation.pass(1, false);
  assert.equal(turns, 1);
  rotation.pass(29, false);
  rotation.pass(1, true);
  rotation.pass(1000, true);
  assert.equal(turns, 1, 'held');
  rotation.pass(29, false);
  assert.equal(turns, 1, 'the page has its whole time again');
  rotation.pass(1, false);
  assert.equal(turns, 2);
  rotation.set(null);
  rotation.pass(1000, false);
  assert.equal(turns, 2, 'stopped');
  const cases = [['30', 30], ['1', ROTATE_MIN], ['999999', ROTATE_MAX], ['0', null], ['', null], ['-5', null], ['1e3', null], ['30s', null], [null, null]];
  for (const [text, secs] of cases) assert.equal(rotateSecs(text), secs, String(text));
});

test('an alert is new while it is open, young and not acknowledged', () => {
  const alert = (id, more) => ({ id, state: 'open', began: 1000, acknowledged: null, ...more });
  assert.equal(newAlert([alert('a'), alert('b', { began: 1010 })], 1020).id, 'b');
  assert.equal(newAlert([alert('a')], 1000 + NEW_ALERT_SECS), null);
  assert.equal(newAlert([alert('a', { state: 'ended' }), alert('b', { acknowledged: { ts: 1 } })], 1001), null);
  assert.equal(newAlert([], 1), null);
});

test('styles of a view leave what surrounds it alone', async () => {
  const css = await filesOf(join(PAGE, 'css'));
  const text = async (name) => (await readFile(css.find((path) => path.endsWith(`/${name}.css`)))).toString().replace(/\/\*[^]*?\*\//g, '');
  const classes = (rules) => [...rules.matchAll(/([^{}]+)\{/g)].flatMap(([, selectors]) => selectors.split(/,(?![^(]*\))/).map((selector) => selector.trim()));
  const own = new Set([...(await text('shell')).matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name));
  // And what surrounds a view means nothing in it: parts of the bar are styled in the bar alone.
  const bar = [...(await readFile(join(PAGE, 'index.html'))).toString().split('</header>')[0].matchAll(/class="([a-z-]+)"/g)].map(([, name]) => name).filter((name) => !['skip', 'top', 'mark', 'state-text'].includes(name));
  assert.ok(bar.length > 6, bar.join(' '));
  for (const selector of classes(await text('shell'))) assert.ok(!bar.includes(/^\.([a-z][\w-]*)/.exec(selector)?.[1]), `shell.css: ${selector} also means a part of a view`);
  for (const name of ['wall', 'flows', 'packets', 'alerts', 'system', 'sankey']) {
    for (const selector of classes(await text(name))) {
      const bare = /^\.([a-z][\w-]*)/.exec(selector);
      assert.ok(!bare || !own.has(bare[1]), `${name}.css: ${selector} also means a part of the shell`);
    }
  }
});
