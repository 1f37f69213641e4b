// What panels say while they load, have nothing or failed; the wall's rotation; accessibility; what fits a small screen.
//
//   node --test states.test.mjs

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { startMock } from './mock.mjs';
import { openBrowser } from './browser.mjs';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = ['view=wall', 'view=wall&page=talkers', 'view=wall&page=alerts', 'view=flows', 'view=flows&show=sankey', 'view=flow', 'view=packets', 'view=alerts', 'view=system'];
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
let browser;
before(async () => { browser = await openBrowser(); });
after(() => browser.close());

/** Opens the page on a server of its own. `prepare(page)` runs before. */
async function opened(query, run, { scenario = 'living', context: options = {}, prepare } = {}) {
  const mock = await startMock({ port: 0, scenario });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.stack));
  try {
    await prepare?.(page, mock);
    await page.goto(`${mock.url}?${await whole(mock, query)}`);
    await run(page, mock);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
    await mock.close();
  }
}

/** The view of a flow needs a flow. */
async function whole(mock, query) {
  if (query !== 'view=flow') return query;
  const { flows } = await (await fetch(`${mock.url}api/v1/flows?limit=1&scope=live`)).json();
  return `${query}&id=${encodeURIComponent(flows[0].id)}`;
}

const param = (page, name) => page.evaluate((key) => new URLSearchParams(location.search).get(key), name);
const refused = { status: 503, json: { error: { code: 'unavailable', message: 'the table is busy <b>' } } };

/** Requests that fit wait until `let_go`, and fail until `heal`. */
function gate() {
  let open;
  const waiting = new Promise((resolve) => { open = resolve; });
  const state = { is_healed: false };
  const handler = async (route) => { await waiting; if (state.is_healed) await route.fallback(); else await route.fulfill(refused); };
  return { handler, let_go: () => open(), heal: () => { state.is_healed = true; } };
}

// [what it is, address, requests that are hindered, where the panel is, what is there afterwards]
const PANELS = [
  ['a flow', 'view=flow', /\/api\/v1\/flows\/[^?]/, '.flow-panel', '.tiles'],
  ['the fields of a flow', 'view=flow', /\/api\/v1\/fields/, '.flow-panel', '.tiles'],
  ['the table of flows', 'view=flows', /\/api\/v1\/flows\?/, '.table-panel', '.vt-tr:not([hidden])'],
  ['the fields of flows', 'view=flows', /\/api\/v1\/fields/, '.flows-main > .panel-state', '.vt-tr:not([hidden])'],
  ['the Sankey diagram', 'view=flows&show=sankey', /\/api\/v1\/graph/, '.graph-panel', '.sankey-node'],
  ['the strip over flows', 'view=flows', /\/api\/v1\/history/, '.strip', '.strip-canvas:not([hidden])'],
  ['packets', 'view=packets', /\/api\/v1\/packets\?/, '.table-panel', '.vt-tr:not([hidden])'],
  ['a packet', 'view=packets&id=100005', /\/api\/v1\/packets\/\d/, '.inspector', '[role=treeitem]'],
  ['the list of alerts', 'view=alerts', /\/api\/v1\/alerts\?.*limit=500/, '.inbox', '.inbox .panel-state[data-kind="nothing"]'],
  ['alerts per hour', 'view=alerts', /\/api\/v1\/alerts\?.*limit=1(&|$)/, '.hours-panel', '.hours li'],
  ['alerts on the wall', 'view=wall', /\/api\/v1\/alerts\?/, '.alerts-panel', '.alerts-panel .panel-state[data-kind="nothing"]'],
  ['the chart of the wall', 'view=wall', /\/api\/v1\/history/, '.hero', '.hero canvas'],
  ['the Sankey diagram of the wall', 'view=wall&page=talkers', /\/api\/v1\/graph/, '.wall-graph', '.sankey-node'],
  ['batch times', 'view=system', /\/api\/v1\/history\?.*batch/, '.system-batches', '.system-batches canvas'],
  ['the doctor', 'view=system', /\/api\/v1\/doctor/, '.system-doctor', '.findings li'],
  ['the configuration', 'view=system', /\/api\/v1\/config/, '.system-config', '.config:not([hidden])'],
  ['limits of the server', 'view=system', /\/api\/v1\/status/, '.system-server', '.system-server .facts-list + .panel-state + .facts-list div'],
];

for (const [what, query, pattern, panel, content] of PANELS) {
  test(`${what}: it says that it loads, that it failed, and tries again`, () => {
    const hindered = gate();
    return opened(query, async (page) => {
      const where = panel.endsWith('.panel-state') ? panel : `${panel} .panel-state`;
      const state = page.locator(`${where}:not([hidden])`).first();
      await page.locator(`${where}[data-kind="loading"]:not([hidden])`).first().waitFor();
      assert.match(await state.innerText(), /Loading|looks/);
      hindered.let_go();
      await page.locator(`${where}[data-kind="failed"]:not([hidden])`).first().waitFor({ timeout: 10000 });
      assert.match(await state.innerText(), /cannot be/);
      assert.match(await state.innerText(), /the table is busy <b>/);
      await state.getByRole('button', { name: 'Try again' }).waitFor();
      hindered.heal();
      // Some panels also try again by themselves, and the button may be gone by now.
      await page.evaluate((place) => document.querySelector(place)?.click(), `${where}[data-kind="failed"]:not([hidden]) button`);
      await page.locator(content).first().waitFor({ timeout: 10000 });
    }, { scenario: /alerts on|list of alerts/.test(what) ? 'calm' : 'living', prepare: async (page, mock) => { if (query.includes('packets')) { mock.flows.packets(mock.world.time()); await page.route(/\/ws$/, (route) => route.abort()); } await page.route(pattern, hindered.handler); } });
  });
}

test('without a connection, the wall says so and tries again', () => opened('view=wall', async (page) => {
  await page.locator('.view-state[data-kind="loading"]').waitFor();
  await page.locator('.view-state[data-kind="failed"]').waitFor({ timeout: 10000 });
  assert.match(await page.locator('.view-state').innerText(), /no connection/);
  assert.equal(await page.locator('.view-wall').isVisible(), false);
  await page.unrouteAll();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.view-wall .ledger').waitFor();
  assert.equal(await page.locator('.view-state').isVisible(), false);
}, { prepare: async (page) => { await page.routeWebSocket(/\/ws$/, async (socket) => { await new Promise((resolve) => { setTimeout(resolve, 1500); }); if ((page.refusals = (page.refusals ?? 0) + 1) < 2) await socket.close(); else socket.connectToServer(); }); } }));

const NOTHING = [
  ['view=flows&filter=client:192.0.2.255', '.table-panel', /No flow fits this filter/, 'Show all flows', 'filter'], ['view=flows&show=sankey&filter=client:192.0.2.255', '.graph-panel', /No flow fits this filter/, 'Show all flows', 'filter'],
  ['view=packets&filter=client:192.0.2.255', '.table-panel', /No sampled packet fits this filter/, 'Show all packets', 'filter'], ['view=alerts&kind=rogue_dhcp', '.inbox', /No alert fits/, 'Show all alerts', 'kind'],
];
for (const [query, panel, says, way, name] of NOTHING) {
  test(`${query} has nothing, says so, and leads out of it`, () => opened(query, async (page) => {
    const state = page.locator(`${panel} .panel-state[data-kind="nothing"]:not([hidden])`).first();
    await state.waitFor();
    // Read and clicked in one step: the next frame may bring something to show.
    const text = await page.evaluate(([place, name]) => {
      const shown = document.querySelector(`${place} .panel-state[data-kind="nothing"]:not([hidden])`);
      const button = [...shown.querySelectorAll('button')].find((candidate) => candidate.textContent === name);
      const said = shown.innerText;
      button.click();
      return said;
    }, [panel, way]);
    assert.match(text, says);
    assert.equal(await param(page, name), null);
    await state.waitFor({ state: 'hidden' });
  }, { prepare: async (page) => { if (query.includes('packets')) await page.route(/\/api\/v1\/packets\?.*filter=/, (route) => route.fulfill({ json: { packets: [], sampled: { seen: 1, kept: 1, buffer: 2000 } } })); } }));
}

test('the flow that is open stays in sight when it cannot be read again', () => opened('view=flow', async (page) => {
  await page.locator('.tiles').waitFor();
  await page.route(/\/api\/v1\/flows\//, (route) => route.fulfill(refused));
  const banner = page.locator('.flow-banner:not([hidden])');
  await banner.waitFor({ timeout: 8000 });
  assert.match(await banner.innerText(), /cannot be read now: the table is busy <b>\. What you see was seen at \d\d:\d\d/);
  assert.ok(await page.locator('.tiles').isVisible());
  await page.unrouteAll();
  await page.locator('.flow-banner button').click();
  await banner.waitFor({ state: 'hidden' });
}));

test('a view looks the same after others were shown', () => opened('view=wall', async (page) => {
  const widths = () => page.evaluate(() => ['.talkers .bar', '#state .mark', '#facts', '.state-text'].map((place) => { const { width, height } = document.querySelector(place).getBoundingClientRect(); return [place, place === '.state-text' ? 0 : Math.round(width), Math.round(height)]; }));
  await page.locator('.talkers .bar').first().waitFor();
  const first = await widths();
  assert.ok(first[1][1] >= 9, 'the mark of live data is there');
  for (const view of ['flows', 'packets', 'alerts', 'system', 'flow']) {
    await page.locator(view === 'flow' ? '.views a[data-view=flows]' : `.views a[data-view=${view}]`).click();
    await page.locator(`.view-${view === 'flow' ? 'flows' : view}`).waitFor();
    assert.deepEqual((await page.evaluate(() => { const { width, height } = document.querySelector('#state .mark').getBoundingClientRect(); return [Math.round(width), Math.round(height)]; })), first[1].slice(1), `the mark of live data, ${view}`);
  }
  await page.locator('.views a[data-view=wall]').click();
  await page.locator('.talkers .bar').first().waitFor();
  assert.deepEqual(await widths(), first);
}));

test('the wall rotates through its pages, and a key stops it', () => opened('view=wall&rotate=5', async (page) => {
  const shown = () => page.locator('.view-wall').getAttribute('data-page');
  await page.locator('.view-wall').waitFor();
  const seen = [await shown()];
  for (let i = 0; i < 3; i++) {
    await page.waitForFunction((before) => document.querySelector('.view-wall').dataset.page !== before, seen.at(-1), { timeout: 9000 });
    seen.push(await shown());
  }
  assert.deepEqual(seen, ['overview', 'talkers', 'alerts', 'overview']);
  await page.mouse.move(300, 300);
  await page.waitForTimeout(300);
  assert.equal(await param(page, 'rotate'), '5', 'a pointer that only moves stops nothing');
  await page.keyboard.press('ArrowDown');
  assert.equal(await param(page, 'rotate'), null);
  const page_before = await shown();
  await page.waitForTimeout(6000);
  assert.equal(await shown(), page_before);
  await page.keyboard.press('r');
  assert.equal(await param(page, 'rotate'), '30');
  await page.locator('.hero').click({ position: { x: 5, y: 5 } });
  assert.equal(await param(page, 'rotate'), null, 'a press stops it, too');
  await page.locator('#rotate-button').click();
  assert.equal(await param(page, 'rotate'), '30');
  await page.locator('#rotate-button').click();
  assert.equal(await param(page, 'rotate'), null);
}, { scenario: 'calm' }));

test('a new alert holds the page of the wall, which names it', () => opened('view=wall&rotate=5&tv=1', async (page, mock) => {
  await page.locator('.pager-note[data-held]').waitFor();
  assert.match(await page.locator('.pager-note').innerText(), /New alert: Port scan/);
  await page.waitForTimeout(7000);
  assert.equal(await page.locator('.view-wall').getAttribute('data-page'), 'overview');
  assert.ok(mock.world.alerts().some(({ state }) => state === 'open'));
}, { prepare: async (page, mock) => { const alerts = mock.world.alerts.bind(mock.world); mock.world.alerts = (now) => alerts(now).map((alert) => (alert.kind === 'port_scan' && alert.began === Math.max(...alerts(now).filter(({ kind }) => kind === 'port_scan').map(({ began }) => began)) ? { ...alert, state: 'open', began: Math.floor(Date.now() / 1000) - 2 } : alert)); } }));

test('no page of the wall needs scrolling at 1920 x 1080, and its letters are for five metres', async () => {
  for (const query of ['view=wall', 'view=wall&tv=1', 'view=wall&tv=1&page=talkers&rotate=30', 'view=wall&tv=1&page=alerts&rotate=30']) {
    await opened(query, async (page) => {
      await page.locator('.view-wall').waitFor();
      await page.waitForTimeout(1500);
      const { over, small, cut } = await page.evaluate(() => {
        const texts = [...document.querySelectorAll('.view-wall *')].filter((element) => element.checkVisibility() && !element.closest('.sr, .chart-table, .pager .segments, .pager .button') && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
        const size = (element) => parseFloat(getComputedStyle(element).fontSize);
        return {
          over: [document.documentElement.scrollHeight - innerHeight, document.documentElement.scrollWidth - innerWidth],
          small: texts.filter((element) => size(element) < 15).map((element) => `${element.className} ${element.textContent}: ${size(element)}`),
          cut: [...document.querySelectorAll('.view-wall > section')].filter((element) => element.checkVisibility() && (element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1)).map((element) => element.className),
        };
      });
      assert.ok(over.every((pixels) => pixels <= 0), `${query}: ${over} px over`);
      assert.deepEqual(small, [], query);
      assert.deepEqual(cut, [], query);
    }, { context: { viewport: { width: 1920, height: 1080 } } });
  }
});

test('batch times of the last hour are a chart, by percentile', () => opened('view=system', async (page) => {
  const asked = page.waitForRequest((request) => request.url().includes('metric=batch_p95'));
  await page.reload();
  assert.match((await asked).url(), /metric=batch_p99&metric=batch_p95&metric=batch_p50&from=\d+&to=\d+&step=10/);
  await page.locator('.system-batches canvas').waitFor();
  await page.locator('.system-batches .link-button').click();
  assert.deepEqual(await page.locator('.system-batches thead th').allInnerTexts(), ['Time', 'p99', 'p95', 'p50']);
  const cells = await page.locator('.system-batches tbody tr').nth(3).locator('td').allInnerTexts();
  const values = cells.map((text) => Number(/^([\d.]+) µs$/.exec(text)[1]));
  assert.ok(values[0] > values[1] && values[1] > values[2], cells.join(' '));
}));

test('whoever mutes is told how long that lasts', () => opened('view=alerts', async (page) => {
  await page.getByRole('button', { name: 'Mute…' }).click();
  const life = page.locator('.mute-life');
  assert.match(await life.innerText(), /until .*\d\d:\d\d.* or until the program ends/);
  const before_text = await life.innerText();
  await page.selectOption('#mute-length', '3600');
  assert.notEqual(await life.innerText(), before_text);
  await page.fill('#mute-reason', 'a test of ours');
  await page.locator('.mute button[type=submit]').click();
  await page.locator('.mutes summary').click();
  assert.match(await page.locator('.mutes li').innerText(), /until .*\d\d:\d\d.* or until the program ends/);
}));

async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return found.violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
}

for (const theme of ['light', 'dark']) {
  test(`axe finds nothing on any view, menu or dialog, ${theme}`, async () => {
    for (const query of VIEWS) {
      await opened(`${query}&theme=${theme}`, async (page) => {
        await page.locator('#state[data-state="live"]').waitFor();
        await page.waitForTimeout(900);
        assert.deepEqual(await violations(page), [], query);
      }, { context: { bypassCSP: true } });
    }
    await opened(`view=flows&theme=${theme}`, async (page) => {
      await page.locator('.vt-tr:not([hidden])').first().waitFor();
      await page.locator('.vt').focus();
      await page.keyboard.press('.');
      await page.locator('[role=menu]').waitFor();
      assert.deepEqual(await violations(page), [], 'a menu at a value');
      await page.keyboard.press('Escape');
      assert.equal(await page.locator('[role=region]:has(> .menu), body > [aria-label^="Menu"]').count(), 0, 'nothing of it stays');
      await page.getByRole('button', { name: 'Export' }).click();
      assert.deepEqual(await violations(page), [], 'the menu of exports');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Columns' }).click();
      assert.deepEqual(await violations(page), [], 'the dialog of columns');
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      assert.deepEqual(await violations(page), [], 'the keys');
    }, { context: { bypassCSP: true } });
    await opened(`view=alerts&theme=${theme}`, async (page, mock) => {
      await page.getByRole('button', { name: 'Mute…' }).click();
      assert.deepEqual(await violations(page), [], 'the dialog that mutes');
      await page.fill('#mute-reason', 'a test of ours');
      await page.locator('.mute button[type=submit]').click();
      await page.locator('.toast').waitFor();
      mock.world.set('stale');
      await page.locator('#stale:not([hidden])').waitFor();
      assert.deepEqual(await violations(page), [], 'a toast, and data that is old');
    }, { context: { bypassCSP: true } });
  });
}

test('on a phone nothing is wider than the screen, and what is touched has room for a finger', async () => {
  for (const query of VIEWS) {
    await opened(query, async (page) => {
      await page.locator('#state[data-state="live"]').waitFor();
      await page.waitForTimeout(900);
      const { wide, small } = await page.evaluate(() => {
        const targets = [...document.querySelectorAll('a, button, input, select, summary')].filter((element) => {
          const { width, height } = element.getBoundingClientRect();
          // Hours of the day and bytes of a packet stand close by their nature; the rest is not seen.
          return element.checkVisibility({ visibilityProperty: true }) && width > 1 && height > 1 && !element.closest('.hours, .skip, .sr') && element.type !== 'checkbox';
        });
        const room = (element) => { const { width, height } = element.getBoundingClientRect(); return [Math.round(width), Math.round(height)]; };
        return {
          wide: document.documentElement.scrollWidth - innerWidth,
          small: targets.filter((element) => room(element)[1] < 44 || room(element)[0] < 24).map((element) => `${element.tagName} ${element.className} "${element.textContent.slice(0, 30)}" ${room(element)}`),
        };
      });
      assert.ok(wide <= 0, `${query}: ${wide} px wider`);
      assert.deepEqual(small, [], query);
    }, { context: PHONE });
  }
});
