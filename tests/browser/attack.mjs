// Waits on the alerts of a running page for an attack that somebody else begins, and follows it to its flows and packets.
//
//   node attack.mjs URL
//
// Prints `ready` when the page is open, `told` when the alert is on it, then `done`. For use inside a network namespace.

import assert from 'node:assert/strict';
import { openBrowser } from './browser.mjs';

const url = process.argv[2];
const browser = await openBrowser();
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.stack));
  await page.goto(`${url}?view=alerts`);
  await page.locator('main').waitFor();
  await page.waitForTimeout(1000);
  console.log('ready');
  const row = page.locator('.inbox-row').filter({ hasText: /SYN flood/ }).first();
  await row.waitFor({ timeout: 60_000 });
  console.log('told');
  await row.click();
  const download = page.waitForEvent('download', { timeout: 60_000 });
  const button = page.locator('main').getByText(/Download the packets/).first();
  await button.waitFor();
  // A recording goes on for some seconds after the alert; until then the server says when it is ready.
  const alerts = await (await page.request.get(`${url}api/v1/alerts`)).json();
  const id = encodeURIComponent(alerts.alerts[0].id);
  let answer;
  for (let i = 0; i < 120; i += 1) {
    answer = await page.request.get(`${url}api/v1/capture?alert=${id}`);
    if (answer.status() === 200) break;
    assert.ok([409, 503].includes(answer.status()), `${answer.status()} ${await answer.text()}`);
    await page.waitForTimeout(500);
  }
  const body = await answer.body();
  assert.equal(body.readUInt32LE(0), 0x0a0d0d0a, 'a section header of pcapng');
  assert.ok(body.length > 2000, `${body.length} bytes`);
  await button.click();
  assert.match((await download).suggestedFilename(), /\.pcapng$/);
  await page.locator('main').getByText(/Show the flows/).first().click();
  await page.locator('.vt-tr:not([hidden]):not(.is-empty)').first().waitFor({ timeout: 30_000 });
  assert.match(new URL(page.url()).searchParams.get('filter') ?? '', /192\.0\.2\.80/);
  assert.deepEqual(faults, []);
  console.log('done');
} finally {
  await browser.close();
}
