// The page of the real program in a browser: a capture is replayed, flows are found, packets are looked at, the server goes and comes back.
//
//   NETSCOPE=path/to/netscope NETSCOPE_CAPTURE=capture.pcap node --test real.test.mjs
//
// NETSCOPE_CAPTURE is of some minutes of many flows, with a flood at its end. NETSCOPE_TLS_CERT and NETSCOPE_TLS_KEY name a certificate and its key.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.mjs';

const { NETSCOPE, NETSCOPE_CAPTURE, NETSCOPE_TLS_CERT, NETSCOPE_TLS_KEY } = process.env;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let browser;
let directory;
// Whatever a test that failed left running.
const children = new Set();

before(async () => {
  browser = await openBrowser();
  directory = await mkdtemp(join(tmpdir(), 'netscope-page-'));
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await browser?.close();
  await rm(directory, { recursive: true, force: true });
});

/** Waits until `check` gives something true, and gives it. */
async function until(check, what, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) assert.fail(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Starts the program and waits for its page. */
async function start(flags) {
  const port = flags.includes('--web-port') ? [] : ['--web-port', '0'];
  const child = spawn(NETSCOPE, ['--web', ...port, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  let said = '';
  child.stderr.on('data', (data) => { said += data; });
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const url = await until(() => /the page: (\S+)/.exec(said)?.[1], 'the address of the page');
  const stop = async () => {
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const code = await exit;
    clearTimeout(kill);
    return code;
  };
  return { child, url, stop, said: () => said };
}

const replay = (...flags) => start(['--read-pcap', NETSCOPE_CAPTURE, '--replay-speed', '20', '--quiet', '--anomalies', ...flags]);

/** A page, and what went wrong on it. */
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) faults.push(`${message.text()} ${message.location().url}`); });
  page.on('request', (request) => { if (new URL(request.url()).host !== new URL(url).host) faults.push(`a request to ${request.url()}`); });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

const param = (page, name) => page.evaluate((key) => new URLSearchParams(location.search).get(key), name);
const rows = (page) => page.locator('.vt-tr:not([hidden]):not(.is-empty)');

test('the wall lives, and a flow is found, sorted, opened and left again', async () => {
  const run = await replay();
  const { page, faults, close } = await open(`${run.url}?view=wall`);
  const read = () => page.locator('main').innerText();
  const first = await until(async () => /received/.test(await read()) && read(), 'the ledger');
  await until(async () => (await read()) !== first, 'numbers that change');
  assert.ok(await page.locator('canvas').count() > 0, 'charts are drawn');
  await page.goto(`${run.url}?view=flows`);
  await rows(page).first().waitFor();
  const box = page.locator('[role=combobox]');
  await box.fill('proto:tcp dport:443 bytes:>1M');
  await box.press('Enter');
  await until(async () => (await param(page, 'filter')) === 'proto:tcp dport:443 bytes:>1M', 'the filter in the address');
  await until(async () => (await rows(page).count()) > 0 && (await rows(page).allInnerTexts()).every((text) => /:443/.test(text)), 'filtered rows');
  await page.locator('.vt [role=columnheader]', { hasText: /^Bytes/ }).first().click();
  await until(async () => /bytes/.test(await param(page, 'sort') ?? ''), 'the order in the address');
  await rows(page).first().click();
  await page.locator('.pane .tiles').waitFor();
  assert.ok(await param(page, 'id'));
  await page.goBack();
  await until(async () => (await param(page, 'id')) === null, 'the way back');
  assert.deepEqual(faults, []);
  await close();
  assert.equal(await run.stop(), 0, run.said());
});

test('packets are sampled, and one is taken apart with its bytes linked', async () => {
  // At its own pace, so that the buffer holds a packet long enough to be looked at.
  const run = await start(['--read-pcap', NETSCOPE_CAPTURE, '--replay-speed', '1', '--quiet']);
  const { page, faults, close } = await open(`${run.url}?view=packets`);
  await rows(page).first().waitFor();
  await page.locator('.vt').focus();
  await page.keyboard.press('Space');
  await rows(page).first().click();
  const field = page.locator('.inspector [role=treeitem], .inspector .field').filter({ hasText: /ttl|hop limit/i }).first();
  await field.waitFor();
  await field.click();
  const marked = await until(async () => page.locator('.inspector .is-marked, .inspector [aria-selected=true]').count(), 'marked bytes');
  assert.ok(marked > 0);
  assert.deepEqual(faults, []);
  await close();
  assert.equal(await run.stop(), 0, run.said());
});

test('a server that stands still is called old, one that is started again is recognised', async () => {
  const run = await replay();
  const port = new URL(run.url).port;
  const { page, close } = await open(`${run.url}?view=wall`);
  await until(async () => /live|replay/i.test(await page.locator('header').first().innerText()), 'a live page');
  const boot = (await (await fetch(`${run.url}api/v1/status`)).json()).boot_id;
  run.child.kill('SIGSTOP');
  await until(async () => page.evaluate(() => document.documentElement.matches('.is-stale, [data-stale]') || document.body.matches('.is-stale, [data-stale]') || document.querySelector('.is-stale') !== null), 'a page that says it is old');
  run.child.kill('SIGCONT');
  await until(async () => page.evaluate(() => document.querySelector('.is-stale') === null && !document.documentElement.matches('.is-stale')), 'a page that lives again');
  await run.stop();
  const second = await start(['--read-pcap', NETSCOPE_CAPTURE, '--replay-speed', '20', '--quiet', '--web-port', port]);
  assert.notEqual((await (await fetch(`${second.url}api/v1/status`)).json()).boot_id, boot);
  await until(async () => /restart/i.test(await page.locator('body').innerText()), 'a word about the restart', 40);
  await close();
  assert.equal(await second.stop(), 0, second.said());
});

test('with TLS and a password, the link logs in once, and nothing goes without', async () => {
  const password = join(directory, 'password');
  await writeFile(password, 'correct horse battery staple\n', { mode: 0o600 });
  const run = await replay('--web-tls', '--web-tls-cert', NETSCOPE_TLS_CERT, '--web-tls-key', NETSCOPE_TLS_KEY, '--web-auth', '--web-auth-user', 'noc', '--web-auth-pass-file', password);
  assert.match(run.url, /^https:/);
  const link = await until(() => /(https:\S+login\?once=\S+)/.exec(run.said())?.[1], 'the link');
  const refused = await browser.newContext({ ignoreHTTPSErrors: true });
  for (const path of ['', 'api/health', 'metrics', 'api/v1/flows']) assert.equal((await refused.request.get(run.url + path)).status(), 401, path);
  await refused.close();
  const { page, faults, close } = await open(link, { ignoreHTTPSErrors: true });
  await until(async () => /received/.test(await page.locator('main').innerText()), 'the page behind the link');
  assert.deepEqual(faults, []);
  await close();
  const again = await browser.newContext({ ignoreHTTPSErrors: true });
  assert.notEqual((await again.request.get(link, { maxRedirects: 0 })).status(), 303, 'the link works once');
  await again.close();
  const known = await browser.newContext({ ignoreHTTPSErrors: true, httpCredentials: { username: 'noc', password: 'correct horse battery staple' } });
  assert.equal((await known.request.get(`${run.url}api/health`)).status(), 200);
  await known.close();
  assert.equal(await run.stop(), 0, run.said());
});

test('after the end the page shows what the file held, and every view is fit for all', async () => {
  const run = await start(['--read-pcap', NETSCOPE_CAPTURE, '--quiet', '--anomalies']);
  await until(async () => (await (await fetch(`${run.url}api/v1/status`)).json()).state === 'ended', 'the end of the file', 60);
  const flows = await (await fetch(`${run.url}api/v1/flows?filter=${encodeURIComponent('proto:udp port:53')}&limit=5`)).json();
  assert.ok(flows.matched.flows > 10 && flows.flows.length === 5 && flows.whole, JSON.stringify(flows).slice(0, 500));
  const id = flows.flows[0].id;
  for (const theme of ['dark', 'light']) {
    for (const view of ['wall', 'flows', 'packets', 'alerts', 'system', `flow&id=${encodeURIComponent(id)}`]) {
      const { page, faults, close } = await open(`${run.url}?view=${view}&theme=${theme}`, { bypassCSP: true, reducedMotion: 'reduce' });
      await page.waitForTimeout(1200);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
      const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
      assert.deepEqual(serious.map(({ id: rule, nodes }) => `${view} ${theme} ${rule}: ${nodes.slice(0, 3).map((node) => node.target)}`), []);
      assert.deepEqual(faults, [], view);
      await close();
    }
  }
  assert.equal(await run.stop(), 0, run.said());
});
