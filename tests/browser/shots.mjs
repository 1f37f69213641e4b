// Pictures of each view in each theme and size, and what can be checked by the way: no error in the console, no request to anywhere else,
// nothing wider than the screen, nothing serious that axe finds.
//
//   node shots.mjs [--url http://127.0.0.1:8080/] [--out DIR] [--before MS] [--view wall,alerts] [--theme dark] [--size wide] [--scenario loss] [--query 'tv=1'] [--no-axe]

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startMock } from './mock.mjs';
import { openBrowser } from './browser.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const SIZES = { wide: { width: 1920, height: 1080 }, phone: { width: 390, height: 844 }, narrow: { width: 360, height: 740 }, laptop: { width: 1366, height: 768 }, large: { width: 3840, height: 2160 }, tablet: { width: 820, height: 1180 } };
// Phones and tablets are touched.
const deviceOf = (size) => ({ viewport: SIZES[size], ...(['phone', 'narrow', 'tablet'].includes(size) ? { isMobile: true, hasTouch: true } : {}) });
const option = (name, fallback) => { const at = process.argv.indexOf(`--${name}`); return at < 0 ? fallback : process.argv[at + 1]; };
const listOf = (name, fallback) => option(name, fallback).split(',');
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const scenario = option('scenario', 'living');
const given = option('url', null);
const mock = given ? { url: given, close: async () => {} } : await startMock({ port: 0, scenario, hashed: true });
const browser = await openBrowser();
const problems = [];
const out = option('out', join(HERE, 'shots'));
await mkdir(out, { recursive: true });
/** What a view's name stands for in the address. */
async function queryOf(view) {
  if (view === 'sankey') return 'view=flows&show=sankey';
  if (view !== 'flow') return `view=${view}`;
  const { flows } = await (await fetch(`${mock.url}api/v1/flows?limit=1&sort=bytes_total&scope=live`)).json();
  return `view=flow&id=${encodeURIComponent(flows[0]?.id ?? '')}`;
}

/** Opens a view and notes what goes wrong on it. */
async function openView(size, theme, view) {
  const name = [view, size, theme, scenario === 'living' ? null : scenario, option('name', null)].filter(Boolean).join('-');
  const context = await browser.newContext({ ...deviceOf(size), colorScheme: theme, bypassCSP: false });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) problems.push(`${name}: console: ${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => problems.push(`${name}: ${error.stack}`));
  page.on('request', (request) => { if (!request.url().startsWith(new URL(mock.url).origin) && !request.url().startsWith('ws://127.0.0.1')) problems.push(`${name}: a request to ${request.url()}`); });
  const address = `${mock.url}?${await queryOf(view)}&theme=${theme}&${option('query', '')}`;
  await page.goto(address);
  return { name, context, page, address, size, theme };
}

/** Takes the picture, and looks whether it fits. */
async function shoot({ name, page }) {
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: option('full', '') === 'yes' });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) problems.push(`${name}: ${wide} px wider than the screen`);
}

async function checkAccess({ name, address, size, theme }) {
  const context = await browser.newContext({ ...deviceOf(size), colorScheme: theme, bypassCSP: true });
  const page = await context.newPage();
  await page.goto(address);
  await page.waitForTimeout(2500);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  for (const { id, impact, nodes } of violations) problems.push(`${name}: axe ${impact} ${id}: ${nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? n.failureSummary}`).join(' | ')}`);
  await context.close();
}

const wait = Number(option('wait', 3200));
const pictures = listOf('size', 'wide,phone').flatMap((size) => listOf('theme', 'dark,light').flatMap((theme) => listOf('view', 'wall,alerts,system').map((view) => [size, theme, view])));
if (option('before', null)) {
  // All of one moment: the pages are opened together.
  await new Promise((resolve) => setTimeout(resolve, Number(option('before'))));
  const opened = [];
  for (const picture of pictures) opened.push(await openView(...picture));
  await new Promise((resolve) => setTimeout(resolve, wait));
  for (const one of opened) await shoot(one);
} else {
  for (const picture of pictures) {
    const opened = await openView(...picture);
    await opened.page.waitForTimeout(wait);
    await shoot(opened);
    await opened.context.close();
    if (!process.argv.includes('--no-axe')) await checkAccess(opened);
  }
}
await browser.close();
await mock.close();
for (const problem of new Set(problems)) console.log(problem);
console.log(problems.length ? `${problems.length} problems` : 'no problems');
process.exitCode = problems.length ? 1 : 0;
