// The page in a browser: age of data, reconnects, restarts, the address, the keyboard, hostile text, the hidden tab.

import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, test } from 'node:test';
import { startMock } from './mock.mjs';
import { openBrowser } from './browser.mjs';

let browser;
before(async () => { browser = await openBrowser(); });
after(() => browser.close());

// Opens the page on a server of its own; an error in the console fails the test.
async function opened(query, run, options = {}) {
  const mock = await startMock({ port: 0, hashed: true, ...options });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options.context });
  const page = await context.newPage();
  const errors = [];
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(error.stack));
  try {
    await page.goto(`${mock.url}?${query}`);
    await page.waitForSelector('#state[data-state="live"], #state[data-state="ended"], #state[data-state="paused"]');
    await run(page, mock, errors);
    const unexpected = errors.filter((text) => !options.expect?.test(text));
    assert.deepEqual(unexpected, []);
  } finally {
    await context.close();
    await mock.close();
  }
}
const scenario = (mock, name) => fetch(new URL(`mock/scenario?name=${name}`, mock.url), { method: 'POST' });

test('old data is called old, greyed, and told to a screen reader; live data again is not', () => opened('view=wall', async (page, mock) => {
  await scenario(mock, 'stale');
  await page.waitForSelector('body[data-stale]', { timeout: 5000 });
  assert.match(await page.textContent('#stale'), /No data since \d\d:\d\d:\d\d/);
  await page.waitForFunction(() => /No data since/.test(document.getElementById('announce').textContent));
  assert.match(await page.evaluate(() => getComputedStyle(document.querySelector('main')).filter), /grayscale/);
  await scenario(mock, 'living');
  await page.waitForSelector('body:not([data-stale])', { timeout: 5000 });
  assert.equal(await page.isVisible('#stale'), false);
}));

test('after a restart the history begins anew and the page says so', () => opened('view=wall', async (page, mock) => {
  await page.waitForTimeout(1500);
  await scenario(mock, 'restart');
  await page.waitForSelector('#notice:not([hidden])', { timeout: 8000 });
  assert.match(await page.textContent('#notice'), /restarted/);
  await page.waitForSelector('#state[data-state="live"]');
}, { expect: /WebSocket/ }));

test('a lost connection comes back by itself, and another page is loaded, once', () => opened('view=wall', async (page, mock) => {
  const hash = () => page.evaluate(() => /\/s\/([0-9a-f]+)\//.exec(document.querySelector('script[type="module"]').src)[1]);
  const first = await hash();
  const address = new URL(mock.url);
  await mock.close();
  await page.waitForSelector('body[data-stale]', { timeout: 8000 });
  assert.match(await page.textContent('#stale'), /connection is lost/);
  const again = await startMock({ port: Number(address.port), hashed: true });
  try {
    await page.waitForSelector('#state[data-state="live"]', { timeout: 20000 });
    await page.waitForFunction((old) => !document.querySelector('script[type="module"]').src.includes(old), first, { timeout: 10000 });
    const second = await hash();
    await page.waitForSelector('#state[data-state="live"]', { timeout: 10000 });
    await page.waitForTimeout(1500);
    assert.equal(await hash(), second);
  } finally { await again.close(); }
}, { expect: /WebSocket|ERR_CONNECTION_REFUSED|Failed to load/ }));

test('dragging on a chart sets the time of all, the address has it, and back goes back', () => opened('view=wall', async (page) => {
  await page.waitForTimeout(1500);
  const box = await page.locator('.hero .u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 80);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 90, { steps: 6 });
  await page.mouse.up();
  await page.waitForFunction(() => new URLSearchParams(location.search).has('from'));
  const params = new URL(page.url()).searchParams;
  const span = Number(params.get('to')) - Number(params.get('from'));
  assert.ok(Math.abs(span - 720) < 30, `a fifth of an hour, not ${span}`);
  assert.equal(await page.textContent('#state-text'), 'standing still');
  await page.waitForFunction(() => /–/.test(document.querySelector('.talkers').closest('section').querySelector('.aside').textContent));
  await page.goBack();
  await page.waitForSelector('#state[data-state="live"]');
  assert.equal(new URL(page.url()).searchParams.has('from'), false);
}));

test('everything goes by the keyboard', () => opened('view=wall', async (page) => {
  await page.keyboard.press('g'); await page.keyboard.press('a');
  await page.waitForSelector('.view-alerts .inbox-row');
  assert.equal(new URL(page.url()).searchParams.get('view'), 'alerts');
  await page.locator('.inbox-row').nth(0).focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => new URLSearchParams(location.search).has('alert'));
  await page.keyboard.press('g'); await page.keyboard.press('s');
  await page.waitForSelector('.view-system .config');
  await page.keyboard.press('?');
  assert.ok(await page.isVisible('.keys[open]'));
  await page.keyboard.press('Escape');
  await page.goBack(); await page.goBack(); await page.goBack();
  await page.waitForSelector('.view-wall');
  await page.keyboard.press(' ');
  await page.waitForSelector('#state[data-state="paused"]');
  await page.keyboard.press('ArrowLeft');
  const at = Number(new URL(page.url()).searchParams.get('to'));
  assert.ok(at < Date.now() / 1000 - 1000, 'half an hour back');
  await page.keyboard.press('ArrowRight');
  await page.waitForSelector('#state[data-state="live"]');
  await page.locator('.hero .chart-plot').focus();
  await page.keyboard.press('ArrowLeft'); await page.keyboard.press('ArrowLeft');
  assert.match(await page.getAttribute('.hero .chart-plot', 'aria-valuetext'), /\d\d:\d\d:\d\d: ▲ in [\d.]+ Gbit\/s/);
  assert.ok(await page.isVisible('.hero .chart-tip'));
  await page.keyboard.press('t');
  assert.match(await page.textContent('#theme-button'), /light/);
}));

test('a chart has its numbers as a table', () => opened('view=wall', async (page) => {
  await page.waitForTimeout(1200);
  await page.click('.hero .heading .link-button');
  assert.ok(await page.locator('.hero .chart-table tbody tr').count() > 20);
  assert.match(await page.textContent('.hero .chart-table tbody td'), /bit\/s/);
  await page.click('.hero .heading .link-button');
  await page.waitForSelector('.hero canvas');
}));

test('an alert is acknowledged with a note, muted with a reason, and its flows are shown', () => opened('view=alerts', async (page) => {
  await page.waitForSelector('.detail');
  await page.fill('#ack-note', 'ticket 17');
  await page.click('.detail-ack button');
  await page.waitForSelector('.detail-ack strong');
  assert.match(await page.textContent('.detail-ack'), /ticket 17/);
  await page.click('text=Mute…');
  await page.click('.mute button[type="submit"]');
  assert.ok(await page.isVisible('.mute'), 'a reason is needed');
  await page.fill('#mute-reason', 'a test of ours');
  await page.click('.mute button[type="submit"]');
  await page.waitForSelector('.mutes:not([hidden])');
  assert.match(await page.getAttribute('.detail-actions a', 'href'), /view=flows&filter=host/);
  assert.match(await page.getAttribute('.detail-actions a[download]', 'href'), /capture\?alert=/);
}));

test('hostile text stays text', () => opened('view=alerts', async (page) => {
  await page.waitForSelector('.inbox-row');
  assert.equal(await page.locator('main img').count(), 0);
  assert.ok((await page.textContent('.inbox-list')).includes('<img src=x'));
  assert.equal(await page.evaluate(() => /[\u202a-\u202e\u0007]/.test(document.body.textContent)), false);
}, { scenario: 'hostile' }));

test('below a path prefix, by relative links', () => opened('view=system', async (page) => {
  await page.waitForSelector('.view-system .config');
  assert.match(await page.textContent('.config'), /\[capture\]/);
}, { prefix: '/probe/one' }));

test('a hidden tab says so, draws nothing, and has no hole afterwards', () => opened('view=wall&range=300', async (page, mock) => {
  await page.waitForTimeout(2200);
  const hide = (state) => page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await hide('hidden');
  await page.waitForTimeout(1300);
  const before_text = await page.textContent('.ledger');
  await page.waitForTimeout(2500);
  assert.equal(await page.textContent('.ledger'), before_text, 'no frame comes');
  assert.equal(await page.getAttribute('body', 'data-stale'), null, 'nobody is told of old data');
  await hide('visible');
  await page.waitForTimeout(2600);
  assert.notEqual(await page.textContent('.ledger'), before_text);
  await page.click('.hero .heading .link-button');
  const cells = await page.locator('.hero .chart-table tbody tr td:nth-child(3)').allTextContents();
  assert.equal(cells.slice(1, 10).filter((text) => text === '–').length, 0, cells.slice(0, 10).join(' '));
}));

test('little stands before the first paint', () => opened('view=wall', async (page) => {
  const before = await page.evaluate(() => performance.getEntriesByType('resource').filter((entry) => entry.renderBlockingStatus === 'blocking').map((entry) => ({ name: entry.name, size: entry.decodedBodySize })));
  const size = before.reduce((sum, entry) => sum + entry.size, 0);
  assert.ok(before.length >= 4 && before.length <= 6, before.map(({ name }) => name).join(' '));
  assert.ok(size < 40_000, `${size} bytes`);
}));

// Time says something on a machine that has time: the best of some loads with an empty cache.
const is_busy = loadavg()[0] > availableParallelism();
test('the first paint is soon', { skip: is_busy && 'the machine is busy' }, async (context) => {
  const paints = [];
  for (let i = 0; i < 4; i++) {
    await opened('view=wall', async (page) => { paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime)); });
  }
  const text = `first paints after ${paints.map(Math.round).join(', ')} ms`;
  context.diagnostic(text);
  assert.ok(Math.min(...paints) < 300, text);
});

test('memory does not grow with frames', () => opened('view=wall', async (page) => {
  const cdp = await page.context().newCDPSession(page);
  const heap = async () => { await cdp.send('HeapProfiler.collectGarbage'); return (await cdp.send('Runtime.getHeapUsage')).usedSize; };
  const nodes = async () => (await cdp.send('Memory.getDOMCounters')).nodes;
  await page.waitForTimeout(4000);
  const [heap_before, nodes_before] = [await heap(), await nodes()];
  await page.waitForTimeout(15000);
  const [grown, more_nodes] = [await heap() - heap_before, await nodes() - nodes_before];
  assert.ok(grown < 400_000, `the heap grew by ${grown} bytes in 15 frames`);
  assert.ok(more_nodes < 150, `${more_nodes} more nodes in 15 frames`);
}));
