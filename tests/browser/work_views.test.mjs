// The flows, flow and packets views in a browser: what a person does with them, what a hostile network sends, what stays flat.
//
//   node --test work_views.test.mjs

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startMock } from './mock.mjs';
import { openBrowser } from './browser.mjs';

let mock;
let browser;

before(async () => {
  mock = await startMock({ port: 0 });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await mock?.close();
});

/** A page at `query`, and what went wrong on it. `handlers`: [[pattern, (url) => JSON]] answers in place of the mock. */
async function open(query, { size = [1440, 900], handlers = [] } = {}) {
  const context = await browser.newContext({ viewport: { width: size[0], height: size[1] } });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('console', (message) => { if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(message.text()); });
  page.on('dialog', (dialog) => { faults.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  for (const [pattern, answer] of handlers) await page.route(pattern, async (route) => route.fulfill({ json: await answer(new URL(route.request().url())) }));
  await page.goto(`${mock.url}?${query}`);
  return { page, faults, close: () => context.close() };
}

const rows = (page) => page.locator('.vt-tr:not([hidden])');
const param = (page, name) => page.evaluate((key) => new URLSearchParams(location.search).get(key), name);

/** Waits until `check` gives something true. */
async function until(check, what) {
  for (let i = 0; i < 60; i += 1) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`waited in vain: ${what}`);
}

test('scrolling through all flows takes no more elements', async () => {
  const { page, faults, close } = await open('view=flows');
  await rows(page).first().waitFor();
  const count = () => page.evaluate(() => document.querySelectorAll('.table-panel *').length);
  const start = await count();
  for (let i = 0; i < 12; i += 1) {
    await page.evaluate((part) => { const table = document.querySelector('.vt'); table.scrollTop = table.scrollHeight * part; }, i / 12);
    await page.waitForTimeout(120);
  }
  await until(() => page.evaluate(() => document.querySelectorAll('.vt-tr:not([hidden]):not(.is-empty)').length > 10), 'rows at the end');
  assert.ok(await count() <= start * 1.7, `${start} elements became ${await count()}`);
  assert.equal(await page.locator('.vt').getAttribute('aria-rowcount'), '641');
  assert.deepEqual(faults, []);
  await close();
});

test('the keyboard moves, opens, filters and closes', async () => {
  const { page, faults, close } = await open('view=flows');
  await rows(page).first().waitFor();
  await page.locator('.vt').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await until(async () => /cell-2-0$/.test(await page.locator('.vt').getAttribute('aria-activedescendant')), 'the active cell');
  await page.keyboard.press('Enter');
  await page.locator('.pane .tiles').waitFor();
  const first = await param(page, 'id');
  await page.keyboard.press('ArrowDown');
  await until(async () => (await param(page, 'id')) !== first, 'the detail follows the row');
  await page.keyboard.press('Escape');
  await page.locator('.pane').waitFor({ state: 'hidden' });
  await page.keyboard.press('.');
  await page.locator('[role=menu]').waitFor();
  await page.keyboard.press('Enter');
  await until(async () => /^client:/.test(await param(page, 'filter') ?? ''), 'the filter');
  assert.equal(await page.locator('[role=combobox]').inputValue(), await param(page, 'filter'));
  await page.goBack();
  await until(async () => (await param(page, 'filter')) === null, 'the way back');
  assert.equal(await page.locator('[role=combobox]').inputValue(), '');
  assert.deepEqual(faults, []);
  await close();
});

test('rows keep their places while a person points at them, and their numbers go on', async () => {
  let turn = 0;
  const flow = (name, rate) => ({ id: name, state: 'live', rate_bps: rate, service: 'https', protocol: 'tcp', client_ip: name, client_port: 1, server_ip: '10.0.0.2', server_port: 443 });
  const answer = () => {
    turn += 1;
    const list = [flow('10.0.0.10', 100 + turn), flow('10.0.0.11', 200 + turn)];
    if (turn % 2) list.reverse();
    return { time: 1, whole: true, why: null, scope: 'all', matched: { flows: 2, packets: 2, bytes: 2, bps: 300 }, looked_at: 2, offset: 0, limit: 100, flows: list };
  };
  const { page, faults, close } = await open('view=flows', { handlers: [['**/api/v1/flows?*', answer]] });
  await rows(page).first().waitFor();
  await page.locator('.vt-body').hover({ position: { x: 300, y: 20 } });
  await page.locator('.hold-note').waitFor();
  const read = () => page.evaluate(() => [...document.querySelectorAll('.vt-tr:not([hidden])')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => [row.querySelector('[data-key=client]').textContent, row.querySelector('[data-key=rate]').textContent]));
  const held = await read();
  await until(async () => (await read())[0][1] !== held[0][1], 'new numbers');
  for (let i = 0; i < 3; i += 1) {
    assert.deepEqual((await read()).map((row) => row[0]), held.map((row) => row[0]));
    await page.waitForTimeout(700);
  }
  assert.deepEqual(faults, []);
  await close();
});

test('a filter that cannot be read is marked at its column', async () => {
  const { page, close } = await open('view=flows&filter=host:10.2.0.9%20bogus:1');
  await page.locator('.filter-message').waitFor();
  assert.match(await page.locator('.filter-message').innerText(), /Column 15.*bogus.*Expected: host/);
  assert.equal(await page.locator('.filter-colours .is-wrong').first().innerText(), 'bogus');
  assert.equal(await page.locator('[role=combobox]').getAttribute('aria-invalid'), 'true');
  await close();
});

test('suggestions are taken by keyboard, and filters are remembered', async () => {
  const { page, faults, close } = await open('view=flows');
  await rows(page).first().waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('serv');
  await until(async () => /^(serv[^|]*\|)+$/.test((await page.locator('[role=option]').allInnerTexts()).map((text) => `${text}|`).join('')), 'suggestions');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const box = page.locator('[role=combobox]');
  assert.match(await box.inputValue(), /^serv\w+:$/);
  await box.fill('service:ssh');
  await page.keyboard.press('Enter');
  await until(async () => (await param(page, 'filter')) === 'service:ssh', 'the filter');
  await box.fill('');
  await page.keyboard.press('ArrowDown');
  await until(async () => (await page.locator('[role=option]').allInnerTexts()).some((text) => text.includes('service:ssh')), 'the recent filter');
  assert.deepEqual(faults, []);
  await close();
});

test('foreign text is shown as text, cut, and does nothing', async () => {
  const evil = `<img src=x onerror=alert(1)>\u202e\u0007${'A'.repeat(10000)}`;
  const flow = { id: 'f"><b>', state: 'live', rate_bps: 1, service: evil, protocol: 'tcp', client_ip: evil, client_port: 1, server_ip: evil, server_port: 2, tcp_state: evil, bytes_total: 1, packets_total: 1, retransmissions: 0 };
  const packets = { packets: [{ id: 7, ts: 1, len: 60, protocol: evil, src: evil, dst: evil, info: evil, app: evil, flow: null }], sampled: { seen: 1, kept: 1, buffer: 2000 } };
  const handlers = [
    ['**/api/v1/flows?*', () => ({ time: 1, whole: false, why: evil, matched: { flows: 1, packets: 1, bytes: 1, bps: 1 }, looked_at: 1, offset: 0, limit: 100, flows: [flow] })],
    ['**/api/v1/flows/*', () => ({ time: 1, state: 'live', flow, alerts: [evil], rates: [] })],
    ['**/api/v1/packets?*', () => packets],
    ['**/api/v1/packets/7', () => ({ type: 'packet_detail', id: 7, ts: 1, len: 60, captured: 2, gone: false, hex_dump: '', bytes: '4142', layers: [{ name: evil, offset: 0, len: 2, fields: [[evil, evil, 0, 1]] }] })],
  ];
  for (const query of ['view=flows', 'view=flow&id=x', 'view=packets&id=7']) {
    const { page, faults, close } = await open(query, { handlers });
    await page.waitForTimeout(1200);
    const text = await page.evaluate(() => document.querySelector('main').innerText);
    assert.match(text, /<img src=x/, `${query} shows it`);
    assert.ok(!text.includes('\u202e') && !text.includes('\u0007'), `${query} hides the mark`);
    assert.equal(await page.locator('main img').count(), 0);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${query} is not wider than the screen`);
    assert.deepEqual(faults, [], query);
    await close();
  }
});

test('packets follow, stand still, and say what came meanwhile', async () => {
  const { page, faults, close } = await open('view=packets');
  await rows(page).first().waitFor();
  const last = () => page.evaluate(() => Math.max(...[...document.querySelectorAll('.vt-tr:not([hidden]) [data-key=id]')].map((cell) => Number(cell.textContent))));
  const before_id = await last();
  await until(async () => (await last()) > before_id, 'newer packets');
  await page.locator('.vt').focus();
  await page.keyboard.press(' ');
  const held = await last();
  await until(async () => /paused · [1-9]/.test(await page.locator('.newer').innerText()), 'a count');
  assert.equal(await last(), held);
  await page.keyboard.press(' ');
  await until(async () => (await last()) > held, 'they go on');
  assert.ok(mock.flows.ring.length > 0);
  assert.deepEqual(faults, []);
  await close();
});

test('a field marks its bytes and a byte selects its field', async () => {
  const { page, faults, close } = await open('view=packets');
  await rows(page).first().waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.vt').first().focus();
  await page.keyboard.press('Enter');
  await page.locator('[role=treeitem]').first().waitFor();
  const field = page.locator('.item-line', { hasText: 'time to live' });
  await field.click();
  assert.deepEqual(await page.locator('.hex-byte.is-selected').evaluateAll((cells) => cells.map((cell) => cell.dataset.byte)), ['22']);
  await page.locator('[data-byte="27"]').first().click();
  assert.match(await page.locator('[role=treeitem][aria-level="2"][aria-selected=true]').innerText(), /^source/);
  await page.locator('.hex').focus();
  await page.keyboard.press('ArrowDown');
  assert.match(await page.locator('.hex-status').innerText(), /^byte 43/);
  await page.locator('.layers').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.locator('[role=treeitem]').first().getAttribute('aria-expanded'), 'false');
  assert.deepEqual(faults, []);
  await close();
});

test('what is no longer known is said', async () => {
  const flow = await open('view=flow&id=gone');
  await until(async () => (await flow.page.locator('main').innerText()).includes('no longer known'), 'the flow');
  await flow.close();
  const packet = await open('view=packets&id=3');
  await until(async () => (await packet.page.locator('main').innerText()).includes('gone from the buffer'), 'the packet');
  await packet.close();
});

test('a view that was left asks for nothing more', async () => {
  const { page, faults, close } = await open('view=flows&id=f00000001');
  await page.locator('.pane .tiles').waitFor();
  await page.locator('.views a[data-view=packets]').click();
  await page.locator('.view-packets').waitFor();
  await page.waitForTimeout(300);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.waitForTimeout(3500);
  assert.deepEqual(asked.filter((url) => url.includes('/flows')), []);
  await page.locator('.views a[data-view=system]').click();
  await page.locator('.view-system').waitFor();
  asked.length = 0;
  await page.waitForTimeout(3500);
  assert.deepEqual(asked.filter((url) => url.includes('/packets')), []);
  assert.deepEqual(faults.filter((fault) => !fault.includes('system')), []);
  await close();
});

test('a node of the Sankey diagram filters, and its links stand in a table', async () => {
  const asked = [];
  const graph = (url) => {
    const before = url.searchParams.get('filter');
    asked.push(before);
    const whole = (term) => (before ? `(${before}) ${term}` : term);
    const node = (column, label, more = {}) => ({ id: `${column}:${label}`, label, column, value: 10, flows: 1, filter: whole(`${column}:${label}`), ...more });
    return {
      time: 1, whole: false, why: 'of the largest 10,000 flows', by: ['client', 'service', 'server'],
      nodes: [node('client', '10.0.0.1'), node('client', '3 others', { is_other: true, value: 50 }), node('service', 'ssh'), node('server', '10.0.0.2')],
      links: [{ source: 0, target: 2, value: 10, flows: 1, filter: whole('client:10.0.0.1 port:22') }, { source: 1, target: 2, value: 50, flows: 3, filter: whole('port:22') }, { source: 2, target: 3, value: 60, flows: 4, filter: whole('port:22 server:10.0.0.2') }],
      other: {},
    };
  };
  const { page, faults, close } = await open('view=flows&show=sankey&filter=protocol:tcp', { handlers: [['**/api/v1/graph?*', graph]] });
  await page.locator('.sankey-node').first().waitFor();
  assert.equal(await page.locator('.sankey-node').count(), 4);
  assert.match(await page.locator('.graph-panel header').innerText(), /incomplete: of the largest 10,000 flows/);
  const places = await page.locator('.sankey-node rect').evaluateAll((shapes) => shapes.map((shape) => Number(shape.getAttribute('x'))));
  assert.ok(places[0] === places[1] && places[1] < places[2] && places[2] < places[3], `columns ${places}`);
  await page.locator('.sankey-node').first().focus();
  await page.keyboard.press('Enter');
  await until(async () => (await param(page, 'filter')) === 'protocol:tcp client:10.0.0.1', 'the filter with the node');
  await until(() => asked.includes('protocol:tcp client:10.0.0.1'), 'the next question');
  await page.getByText('Table of links').click();
  assert.equal(await page.locator('.graph-root tbody tr').count(), 3);
  assert.match(await page.locator('.graph-root tbody tr').first().innerText(), /ssh\s+10.0.0.2/);
  assert.deepEqual(faults, []);
  await close();
});

test('columns are chosen, kept in the address and sorted at the server', async () => {
  const { page, faults, close } = await open('view=flows');
  await rows(page).first().waitFor();
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.locator('dialog input[type=search]').fill('out of order');
  await page.locator('dialog .columns-choice:visible input').check();
  await page.getByRole('button', { name: 'Show these columns' }).click();
  await until(async () => /out_of_order$/.test(await param(page, 'columns') ?? ''), 'the address');
  const asked = page.waitForRequest((request) => request.url().includes('sort=out_of_order'));
  await page.getByRole('columnheader', { name: /Out of order/ }).getByRole('button').click();
  assert.match((await asked).url(), /order=desc/);
  await until(async () => (await page.getByRole('columnheader', { name: /Out of order/ }).getAttribute('aria-sort')) === 'descending', 'the mark');
  assert.match(await page.locator('.vt').evaluate((table) => table.style.getPropertyValue('--vt-columns')), /px/);
  assert.deepEqual(faults, []);
  await close();
});

test('a time that is dragged holds the table still', async () => {
  const { page, faults, close } = await open('view=flows');
  await rows(page).first().waitFor();
  await page.locator('.strip-canvas').focus();
  await page.keyboard.press('ArrowLeft');
  await until(async () => (await param(page, 'from')) !== null, 'a time in the address');
  assert.match(await page.locator('.strip .chip').innerText(), /flows seen \d\d:\d\d/);
  await page.waitForTimeout(500);
  let asked = 0;
  page.on('request', (request) => { if (request.url().includes('/api/v1/flows')) asked += 1; });
  await page.waitForTimeout(2500);
  assert.equal(asked, 0);
  await page.locator('.strip .chip').click();
  await until(async () => (await param(page, 'from')) === null && asked > 0, 'live again');
  assert.deepEqual(faults, []);
  await close();
});
