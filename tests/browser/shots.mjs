// Pictures of each view in each theme and size, and what can be checked by the way: no error in the console, no request to anywhere else,
// nothing wider than the screen, nothing serious that axe finds.
//
//   node shots.mjs [--url http://127.0.0.1:8080/] [--out DIR] [--view wall,alerts] [--theme dark] [--size wide] [--scenario loss] [--query 'tv=1'] [--no-axe]

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startMock } from './mock.mjs';
import { openBrowser } from './browser.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const SIZES = { wide: { width: 1920, height: 1080 }, phone: { width: 390, height: 844 }, narrow: { width: 360, height: 740 }, laptop: { width: 1366, height: 768 }, large: { width: 3840, height: 2160 }, tablet: { width: 820, height: 1180 } };
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
for (const size of listOf('size', 'wide,phone')) {
  for (const theme of listOf('theme', 'dark,light')) {
    for (const view of listOf('view', 'wall,alerts,system')) {
      const name = [view, size, theme, scenario === 'living' ? null : scenario, option('name', null)].filter(Boolean).join('-');
      const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, bypassCSP: false });
      const page = await context.newPage();
      page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) problems.push(`${name}: console: ${message.text()} ${message.location().url}`); });
      page.on('pageerror', (error) => problems.push(`${name}: ${error.stack}`));
      page.on('request', (request) => { if (!request.url().startsWith(new URL(mock.url).origin) && !request.url().startsWith('ws://127.0.0.1')) problems.push(`${name}: a request to ${request.url()}`); });
      await page.goto(`${mock.url}?view=${view}&theme=${theme}&${option('query', '')}`);
      await page.waitForTimeout(Number(option('wait', 3200)));
      await page.screenshot({ path: join(out, `${name}.png`), fullPage: option('full', '') === 'yes' });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) problems.push(`${name}: ${wide} px wider than the screen`);
      if (!process.argv.includes('--no-axe')) {
        await context.close();
        const checked = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, bypassCSP: true });
        const second = await checked.newPage();
        await second.goto(`${mock.url}?view=${view}&theme=${theme}&${option('query', '')}`);
        await second.waitForTimeout(2500);
        await second.evaluate(axe);
        const { violations } = await second.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
        for (const { id, impact, nodes } of violations) problems.push(`${name}: axe ${impact} ${id}: ${nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? n.failureSummary}`).join(' | ')}`);
        await checked.close();
      } else await context.close();
    }
  }
}
await browser.close();
await mock.close();
for (const problem of new Set(problems)) console.log(problem);
console.log(problems.length ? `${problems.length} problems` : 'no problems');
process.exitCode = problems.length ? 1 : 0;
