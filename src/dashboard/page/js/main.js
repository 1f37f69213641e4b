// Starts the page: makes `app`, which views are given, and shows the view that the address names.
//
// A view is `export const view = { name, title, uses_time, needs_tick, mount(root, app) }`; one that `needs_tick` is shown with the first one; `mount` returns { frame(message), route(params, previous), leave() },
// each optional. A view's modules and styles are loaded when it is first shown.

import { api, ApiError, url } from './api.js';
import * as format from './format.js';
import { h } from './dom.js';
import { startKeys } from './keys.js';
import { PanelState } from './panel_state.js';
import { Perf } from './perf.js';
import { Route } from './route.js';
import { announce, Shell, toast } from './shell.js';
import { Socket } from './socket.js';
import { Store } from './store.js';
import * as theme from './theme.js';
import { SPANS, Time } from './time.js';

const VIEWS = {
  wall: { load: () => import('./views/wall.js'), css: ['wall.css', 'sankey.css'] },
  flows: { load: () => import('./views/flows.js'), css: ['flows.css', 'sankey.css'] },
  flow: { load: () => import('./views/flow.js'), css: ['flows.css'] },
  packets: { load: () => import('./views/packets.js'), css: ['flows.css', 'packets.css'] },
  alerts: { load: () => import('./views/alerts.js'), css: ['alerts.css'] },
  system: { load: () => import('./views/system.js'), css: ['system.css'] },
};

const route = new Route();
const socket = new Socket();
const store = new Store(socket);
const time = new Time(route, store);
const reduced = matchMedia('(prefers-reduced-motion: reduce)');

// What a view may use.
const app = {
  api, url, ApiError, route, socket, store, time, format, announce, toast, theme,
  get reduced() { return reduced.matches; },
};

const main = document.getElementById('main');
let shown = null; // { name, handle }
let wanted = 0;

// Until the first tick, a view that is made of ticks says that it waits.
const waiting = new PanelState('view-state');
function showWaiting() {
  const is_waiting = shown !== null && shown.needs_tick && store.tick === null;
  if (shown) shown.root.hidden = is_waiting;
  if (!is_waiting) waiting.ready();
  else if (socket.state === 'waiting') waiting.failed('There is no connection to NetScope', new Error('It is tried again by itself.'), () => socket.connect());
  else if (waiting.kind !== 'failed') waiting.loading('Waiting for the first data');
}

const stylesheets = new Map();
function loadStyle(name) {
  if (!stylesheets.has(name)) {
    const link = h('link', { rel: 'stylesheet', href: new URL(`../css/${name}`, import.meta.url).href });
    const loaded = new Promise((resolve, reject) => {
      link.onload = resolve;
      link.onerror = () => { stylesheets.delete(name); link.remove(); reject(new Error(`${name} cannot be loaded`)); };
      document.head.append(link);
    });
    stylesheets.set(name, { link, loaded });
  }
  return stylesheets.get(name).loaded;
}

// A view's styles hold while it is shown: names in them mean nothing to other views.
function useStyles(names) {
  for (const [name, { link }] of stylesheets) link.disabled = !names.includes(name);
}

async function show(name) {
  const ticket = (wanted += 1);
  const is_first = shown === null;
  const known = VIEWS[name] ? name : 'wall';
  let view;
  try {
    [{ view }] = await Promise.all([VIEWS[known].load(), ...VIEWS[known].css.map(loadStyle)]);
  } catch (error) {
    if (ticket !== wanted) return;
    leave();
    waiting.failed('This view cannot be loaded', error, () => show(name));
    main.replaceChildren(waiting.element);
    return;
  }
  if (ticket !== wanted) return;
  leave();
  const root = h('div', { class: `view view-${known}` });
  main.replaceChildren(waiting.element, root);
  useStyles(VIEWS[known].css);
  shell.setView(known, view.title, view.uses_time !== false);
  shown = { name: known, asked: name, root, needs_tick: view.needs_tick === true, handle: null };
  shown.handle = view.mount(root, app) ?? {};
  showWaiting();
  if (!is_first) { main.focus({ preventScroll: true }); scrollTo(0, 0); announce(view.title); }
}

function leave() {
  shown?.handle?.leave?.();
  shown = null;
}

const shell = new Shell(app, () => showKeys());
const showKeys = startKeys({
  go: (view) => route.set({ view }),
  filter: () => {
    const field = main.querySelector('[data-filter]');
    if (field) { field.focus(); field.select?.(); } else route.set({ view: 'flows', focus: 'filter' });
  },
  pause: () => time.toggle(),
  step: (direction) => time.step(direction),
  span: (index) => time.set({ span: SPANS[index].secs }),
  theme: () => shell.nextTheme(),
  rotate: () => document.getElementById('rotate-button')?.click(),
});
const perf = new Perf(app);

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a[href^="?"]') : null;
  if (!link || link.target || link.hasAttribute('download')) return;
  event.preventDefault();
  const params = new URLSearchParams(link.getAttribute('href'));
  route.set({ ...Object.fromEntries([...route.params.keys()].map((name) => [name, null])), ...Object.fromEntries(params) });
});

route.on(({ params, previous }) => {
  const asked = params.get('theme');
  if (asked !== previous.get('theme') && theme.THEMES.includes(asked)) theme.apply(asked);
  perf.route(params);
  if (shown && route.view === shown.asked) shown.handle?.route?.(params, previous);
  else show(route.view);
});
store.on('frame', (message) => {
  const begin = performance.now();
  showWaiting();
  if (document.visibilityState !== 'hidden') shown?.handle?.frame?.(message);
  perf.frame(message, performance.now() - begin);
});
socket.on('state', showWaiting);
store.on('restart', () => reloadOnce());

// After a restart the page itself may be another one: it is loaded again, once.
async function reloadOnce() {
  const own = /\/s\/([0-9a-f]+)\//.exec(import.meta.url)?.[1];
  if (!own) return;
  try {
    const text = await (await fetch(document.baseURI, { cache: 'no-store' })).text();
    const other = /["'/]s\/([0-9a-f]+)\//.exec(text)?.[1];
    if (!other || other === own || sessionStorage.getItem('netscope.reloaded') === other) return;
    sessionStorage.setItem('netscope.reloaded', other);
    location.reload();
  } catch (error) {
    toast(`The page may be older than the server: ${error.message}`);
  }
}

perf.route(route.params);
show(route.view);
socket.connect();
