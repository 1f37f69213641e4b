// Bad neighbours of the web port: what they do to a capture, to a replay and to the server's memory.
//
//   node neighbours.mjs attack --port 8080 --seconds 30
//   node neighbours.mjs replay --netscope ../../target/release/netscope --capture many.pcap [--rounds 5] [--cores 0,1]
//
// `attack` does all of it at once: 10,000 requests a second for flows, 200 WebSocket clients of which half stop reading, 100 connections
// that send a header byte by byte, a port scanner, uploads of 1 GB; it says what the server answered.
// `replay` replays the capture in turn without a page, with a page that nobody looks at, with all these neighbours, and without a page while
// the same neighbours are at another server: what they take of the machine's memory and caches is not the page's doing. All but the worker
// is on the second core. Prints the medians and their ratios.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const words = process.argv.slice(2);
const option = (name, fallback) => { const at = words.indexOf(`--${name}`); return at < 0 ? fallback : words[at + 1]; };
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const HOST = '127.0.0.1';

/** What was done and what came of it. */
const counts = {};
const note = (what, by = 1) => { counts[what] = (counts[what] ?? 0) + by; };

/** A connection whose end and faults are counted. */
function dial(port, name, opened) {
  const socket = connect(port, HOST);
  socket.on('connect', () => { note(`${name}: connections`); opened?.(socket); });
  socket.on('error', () => note(`${name}: refused or reset`));
  return socket;
}

/** Keeps `count` connections of a kind open until `end`. */
function keep(count, end, open) {
  for (let at = 0; at < count; at += 1) {
    const again = () => {
      if (Date.now() > end) return;
      const socket = open(at);
      let over = false;
      socket.on('close', () => { if (!over) { over = true; setTimeout(again, 20); } });
      setTimeout(() => socket.destroy(), Math.max(0, end - Date.now()));
    };
    again();
  }
}

/** Requests for flows, 10,000 a second over eight connections, whatever comes of them. */
function flood(port, end) {
  const ask = `GET /api/v1/flows?filter=bytes%3A%3E1k&sort=bytes&limit=100 HTTP/1.1\r\nHost: ${HOST}:${port}\r\n\r\n`;
  keep(8, end, () => {
    let timer;
    const socket = dial(port, 'requests', () => {
      let due = 0;
      const started = performance.now();
      timer = setInterval(() => {
        const want = Math.floor((performance.now() - started) * 1.25);
        // Not more than what the kernel takes: a server that reads slowly is asked less.
        const number = Math.min(want - due, 200);
        due = want;
        if (number <= 0 || socket.writableLength > 1 << 20) return;
        socket.write(ask.repeat(number));
        note('requests: sent', number);
      }, 4);
    });
    let tail = '';
    socket.on('data', (data) => {
      const text = tail + data.toString('latin1');
      for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3})/g)) note(`requests: answered ${status}`);
      tail = text.slice(-8).includes('HTTP') ? text.slice(-8) : '';
    });
    socket.on('close', () => clearInterval(timer));
    return socket;
  });
}

/** WebSocket clients; every second one never reads. */
function sockets(port, end) {
  const hello = `GET /ws HTTP/1.1\r\nHost: ${HOST}:${port}\r\nOrigin: http://${HOST}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  keep(200, end, (at) => {
    const socket = dial(port, 'sockets', () => socket.write(hello));
    if (at % 2 === 0) socket.pause();
    else socket.on('data', (data) => note('sockets: bytes read', data.length));
    return socket;
  });
}

/** Headers that never end, a byte a second. */
function loris(port, end) {
  keep(100, end, () => {
    const socket = dial(port, 'slow headers', () => {
      socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}:${port}\r\nX-Slow: `);
      const timer = setInterval(() => socket.write('a'), 1000);
      socket.on('close', () => clearInterval(timer));
    });
    socket.resume();
    return socket;
  });
}

/** Connections that are closed at once, 200 a second. */
function scan(port, end) {
  const timer = setInterval(() => {
    if (Date.now() > end) { clearInterval(timer); return; }
    dial(port, 'scanner', (socket) => socket.destroy());
  }, 5);
}

/** Bodies of 1 GB. */
function upload(port, end) {
  const part = Buffer.alloc(1 << 20, 'x');
  keep(2, end, () => {
    const socket = dial(port, 'uploads', () => {
      socket.write(`POST /api/v1/mutes HTTP/1.1\r\nHost: ${HOST}:${port}\r\nOrigin: http://${HOST}:${port}\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n`);
      const push = () => { while (!socket.destroyed && socket.write(part)) note('uploads: bytes taken', part.length); };
      socket.on('drain', push);
      push();
    });
    socket.resume();
    return socket;
  });
}

/** Another server, which takes everything. */
function sink() {
  const server = createServer((request, response) => { request.resume(); response.end('{}'); });
  server.on('upgrade', (request, socket) => { socket.on('error', () => {}); socket.resume(); });
  server.listen(Number(option('port')), HOST);
}

async function attack() {
  const [port, end] = [Number(option('port')), Date.now() + Number(option('seconds', '30')) * 1000];
  for (const neighbour of [flood, sockets, loris, scan, upload]) neighbour(port, end);
  process.on('SIGTERM', () => { report(); process.exit(0); });
  const report = () => console.log(JSON.stringify(counts, null, 1));
  await pause(end - Date.now() + 200);
  report();
  process.exit(0);
}

/** CPU of a process's threads in ns: of the worker, and of all. Threads that are gone keep what they had. */
async function cpu(pid, seen) {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  await Promise.all(threads.map(async (thread) => {
    const path = `/proc/${pid}/task/${thread}`;
    const [name, times] = await Promise.all([readFile(`${path}/comm`, 'utf8'), readFile(`${path}/schedstat`, 'utf8')]).catch(() => []);
    if (times) {
      const [ran, waited] = times.split(' ').map(Number);
      seen.set(thread, { name: name.trim(), ran, waited });
    }
  }));
}

const memory = async (pid) => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''))?.[1] ?? 0) / 1024;

/** One replay; `web`: with a page; `attacked`: and its neighbours. */
async function replay(web, attacked, port) {
  const [first, second] = option('cores', '0,1').split(',');
  const summary = join(tmpdir(), `neighbours-${process.pid}.json`);
  const flags = web ? ['--web', '--no-web-stay', '--web-port', String(port)] : [];
  const program = spawn(option('netscope'), ['-q', '-r', option('capture'), '--workers', '1', '--cpus', first, '--summary-json', summary, ...flags, ...(option('flags', '') || '').split(' ').filter(Boolean)],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  const started = performance.now();
  let [said, elapsed] = ['', 0];
  program.stderr.on('data', (data) => { said += data; });
  const exit = new Promise((resolve) => { program.once('exit', () => { elapsed = (performance.now() - started) / 1000; resolve(); }); });
  const other = attacked && !web && spawn('taskset', ['-c', second, process.execPath, fileURLToPath(import.meta.url), 'sink', '--port', String(port)], { stdio: 'inherit' });
  const foes = attacked && spawn('taskset', ['-c', second, process.execPath, fileURLToPath(import.meta.url), 'attack', '--port', String(port), '--seconds', '600'],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  let told = '';
  foes && foes.stdout.on('data', (data) => { told += data; });
  const seen = new Map();
  let [over, peak] = [false, 0];
  exit.then(() => { over = true; });
  while (!over) {
    await cpu(program.pid, seen);
    peak = Math.max(peak, await memory(program.pid));
    await pause(100);
  }
  if (foes) { const gone = new Promise((resolve) => { foes.once('exit', resolve); }); foes.kill('SIGTERM'); await gone; }
  if (other) { const gone = new Promise((resolve) => { other.once('exit', resolve); }); other.kill('SIGTERM'); await gone; }
  const totals = JSON.parse(await readFile(summary, 'utf8'));
  await rm(summary);
  const threads = [...seen.values()];
  return { totals, threads, peak, told, elapsed };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function compare() {
  const kinds = [['no page', false, false], ['page, nobody looks', true, false], ['neighbours', true, true], ['no page, neighbours elsewhere', false, true]];
  const results = new Map(kinds.map(([name]) => [name, []]));
  for (let round = 0; round < Number(option('rounds', '5')); round += 1) {
    for (const [name, web, attacked] of kinds) {
      const result = await replay(web, attacked, 18090 + round);
      const worker = result.threads.filter((thread) => /^netscope-w\d/.test(thread.name));
      // How long the worker took with what it waited for a processor; the server's graceful end is not the replay's time.
      const took = worker.reduce((sum, thread) => sum + thread.ran + thread.waited, 0) / 1e9;
      const ran = (threads) => threads.reduce((sum, thread) => sum + thread.ran, 0) / 1e9;
      results.get(name).push({ worker: ran(worker), all: ran(result.threads), elapsed: took, lost: result.totals.source.received - result.totals.packets, whole: result.elapsed, peak: result.peak, packets: result.totals.packets });
      if (round === 0 && result.told) console.log(result.told);
    }
  }
  for (const [name, runs] of results) {
    const of = (what) => median(runs.map((run) => run[what]));
    const base = results.get('no page');
    const ratio = (what) => median(runs.map((run, at) => run[what] / base[at][what]));
    console.log(`${name}: ${of('packets')} packets, ${of('lost')} lost, worker ${of('worker').toFixed(3)} s (x ${ratio('worker').toFixed(3)}), all threads ${of('all').toFixed(3)} s (x ${ratio('all').toFixed(3)}), elapsed ${of('elapsed').toFixed(3)} s (x ${ratio('elapsed').toFixed(3)}), with start and end ${of('whole').toFixed(3)} s, peak ${of('peak').toFixed(0)} MiB`);
  }
}

if (words[0] === 'attack') await attack();
else if (words[0] === 'sink') sink();
else if (words[0] === 'replay') await compare();
else { console.error('neighbours.mjs: say attack, sink or replay'); process.exit(1); }
