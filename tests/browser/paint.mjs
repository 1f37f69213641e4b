// How soon the page is seen: first-contentful-paint of the page, and of a page of one line by the same browser from the same machine, in turn.
//
//   node paint.mjs --netscope ../../target/release/netscope [--capture FILE] [--rounds 9]
//
// Each paint is of a new browser context, so nothing is cached. The page of one line says what the browser itself takes.

import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { openBrowser } from './browser.mjs';

const words = process.argv.slice(2);
const option = (name, fallback) => { const at = words.indexOf(`--${name}`); return at < 0 ? fallback : words[at + 1]; };
const netscope = option('netscope', '../../target/release/netscope');
const capture = option('capture', fileURLToPath(new URL('../fixtures/', import.meta.url)) + 'demo.pcapng');
const rounds = Number(option('rounds', 9));
const PORT = Number(option('port', 18093));

const program = spawn(netscope, ['-q', '-r', capture, '--web', '--web-port', String(PORT)], { stdio: ['ignore', 'ignore', 'inherit'] });
const plain = createServer((_, answer) => { answer.setHeader('content-type', 'text/html'); answer.end('<!doctype html><title>one line</title><p>one line'); });
await new Promise((resolve) => { plain.listen(0, '127.0.0.1', resolve); });
for (let tries = 0; ; tries += 1) {
  if (await fetch(`http://127.0.0.1:${PORT}/api/health`).then((answer) => answer.ok, () => false)) break;
  if (tries > 100) throw new Error('netscope does not answer');
  await new Promise((resolve) => { setTimeout(resolve, 100); });
}

const browser = await openBrowser();
async function paint(url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(url, { waitUntil: 'load' });
  const found = await page.evaluate(() => new Promise((resolve) => {
    new PerformanceObserver((list) => {
      const [entry] = list.getEntriesByName('first-contentful-paint');
      if (entry) resolve({ paint: entry.startTime, answered: performance.getEntriesByType('navigation')[0].responseEnd });
    }).observe({ type: 'paint', buffered: true });
  }));
  await context.close();
  return found;
}
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const ours = [];
const floor = [];
for (let round = 0; round < rounds; round += 1) {
  floor.push((await paint(`http://127.0.0.1:${plain.address().port}/`)).paint);
  ours.push((await paint(`http://127.0.0.1:${PORT}/?view=wall`)).paint);
}
console.log(`page: ${ours.map(Math.round).join(' ')} ms, median ${Math.round(median(ours))} ms`);
console.log(`page of one line: ${floor.map(Math.round).join(' ')} ms, median ${Math.round(median(floor))} ms`);
await browser.close();
plain.close();
program.kill('SIGINT');
