// How much memory the page keeps after many frames: sends frames fast and looks at the heap.
//
//   node soak.mjs [--frames 20000] [--view wall]

import { startMock } from './mock.mjs';
import { openBrowser } from './browser.mjs';

const option = (name, fallback) => { const at = process.argv.indexOf(`--${name}`); return at < 0 ? fallback : process.argv[at + 1]; };
const frames = Number(option('frames', 20000));
const mock = await startMock({ port: 0 });
const browser = await openBrowser();
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
await page.goto(`${mock.url}?view=${option('view', 'wall')}`);
await page.waitForSelector('#state[data-state="live"]');
const cdp = await page.context().newCDPSession(page);
const look = async (after) => {
  await cdp.send('HeapProfiler.collectGarbage');
  const shown = await page.evaluate(() => document.querySelectorAll('*').length);
  const { usedSize } = await cdp.send('Runtime.getHeapUsage');
  const { nodes, jsEventListeners } = await cdp.send('Memory.getDOMCounters');
  console.log(`${after} frames: heap ${(usedSize / 1e6).toFixed(2)} MB, ${nodes} nodes, ${shown} elements shown, ${jsEventListeners} listeners`);
};
await page.waitForTimeout(3000);
await look(0);
const part = Math.ceil(frames / 5);
for (let done = 0; done < frames; done += part) {
  // One second of data each; the socket of the page is that of the mock, which takes a burst of made-up frames.
  await mock.burst(part);
  await page.waitForTimeout(part * 1.2);
  await look(done + part);
}
await browser.close();
await mock.close();
