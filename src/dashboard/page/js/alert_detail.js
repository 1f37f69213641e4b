// The pane of one alert: why it was raised, what was seen, and what can be done about it.

import * as words from './alert_text.js';
import { foreign, h, setText } from './dom.js';
import * as format from './format.js';

const MUTE_LENGTHS = [[3600, '1 hour'], [8 * 3600, '8 hours'], [86400, '1 day'], [7 * 86400, '7 days'], [30 * 86400, '30 days']];

const section = (title, ...children) => h('section', { class: 'detail-section' }, h('h3', { class: 'heading', text: title }), ...children);

// Makes the pane of `alert`. `actions`: changed(alert), muted().
export function alertDetail(app, alert, actions) {
  const now = app.store.now();
  const life = h('p', { class: 'dim detail-life' });
  const pane = h('article', { class: 'detail', 'aria-label': words.title(alert) },
    h('header', {}, h('span', { class: 'severity', 'data-severity': alert.state === 'open' ? alert.severity : 'ended', text: `${alert.severity} · ${alert.state}` }), h('h2', {}, foreign(words.title(alert), 160)), h('p', { class: 'detail-text' }, foreign(words.grouped(String(alert.description ?? '').slice(0, 2000)), 600)), life),
    buttons(app, alert, actions), acknowledged(app, alert, actions), why(alert), seen(alert), sources(app, alert), examples(app, alert), rule(alert));
  pane.tick = (time) => setText(life, lifeLine(alert, time));
  pane.tick(now);
  return pane;
}

function lifeLine(alert, now) {
  const began = `began ${format.when(alert.began, now)}`;
  const nature = words.nature(alert);
  const end = alert.state === 'open' ? `open for ${format.duration(words.lasted(alert, now))}` : `ended ${format.when(alert.ts, now)} after ${format.duration(words.lasted(alert, now))}${alert.ended_by === 'exit' ? ', by the end of the run' : ''}`;
  return [began, end, nature].filter(Boolean).join(' · ');
}

function buttons(app, alert, actions) {
  const filter = words.filterOf(alert);
  const { hello } = app.store;
  const why_not = hello?.has?.recorder === false ? 'The flight recorder is off (--recorder).' : hello?.role === 'look' ? 'Your role may not download packets.' : null;
  const flows = filter ? h('a', { class: 'button primary', href: app.route.href({ view: 'flows', filter, alert: null }), text: 'Show the flows' }) : h('button', { class: 'button', type: 'button', disabled: true, title: 'It names no host.', text: 'Show the flows' });
  const packets = why_not ? h('button', { class: 'button', type: 'button', disabled: true, title: why_not, text: 'Download the packets' })
    : h('a', { class: 'button', href: app.url('capture', { alert: alert.id }), download: '', title: 'Packets before and after, as pcapng', text: 'Download the packets' });
  const mute = hello?.role === 'look' ? h('button', { class: 'button', type: 'button', disabled: true, title: 'Your role may not mute alerts.', text: 'Mute…' })
    : h('button', { class: 'button', type: 'button', text: 'Mute…', on: { click: () => muteDialog(app, alert, actions) } });
  return h('div', { class: 'detail-actions' }, flows, packets, mute, why_not && h('p', { class: 'faint', text: why_not }));
}

// Acknowledged by whom and why, or the form for it.
function acknowledged(app, alert, actions) {
  const path = `alerts/${encodeURIComponent(alert.id)}/acknowledge`;
  const send = async (options, text) => {
    try { actions.changed(await app.api(path, {}, options)); app.toast(text); } catch (error) { app.toast(`That did not work: ${error.message}`); }
  };
  if (alert.acknowledged) {
    const { ts, by, note } = alert.acknowledged;
    return h('div', { class: 'detail-ack' }, h('p', {}, h('strong', { text: '✓ Acknowledged' }), ` ${format.when(ts, app.store.now())}${by ? ` by ${format.visible(by, 60)}` : ''}`, note ? h('span', { class: 'dim' }, ': ', foreign(note, 400)) : null),
      h('button', { class: 'button quiet', type: 'button', text: 'Take back', on: { click: () => send({ method: 'DELETE' }, 'No longer acknowledged') } }));
  }
  if (app.store.hello?.role === 'look') return null;
  const note = h('input', { type: 'text', id: 'ack-note', maxlength: '500', placeholder: 'Note, such as a ticket', autocomplete: 'off' });
  const submit = (event) => { event.preventDefault(); send({ method: 'POST', body: { note: note.value } }, 'Acknowledged'); };
  return h('form', { class: 'detail-ack', on: { submit } }, h('label', { class: 'sr', for: 'ack-note', text: 'Note' }), note, h('button', { class: 'button', type: 'submit', text: 'Acknowledge' }));
}

function why(alert) {
  const rows = words.thresholds(alert).map(({ label, value, limit, times }) => {
    // On a logarithmic scale: the limit is at a quarter, a thousand times the limit at the end.
    const share = times === null || times <= 0 ? 0 : Math.max(0.02, Math.min(1, 0.25 + Math.log10(times) / 4));
    return h('li', {}, h('span', { class: 'threshold-name', text: label }), h('span', { class: 'num' }, h('b', { text: value }), h('span', { class: 'dim', text: `, limit ${limit}` })),
      h('span', { class: 'threshold', 'aria-hidden': 'true' }, h('i', { style: { width: `${(share * 100).toFixed(1)}%` } }), h('u')), h('span', { class: 'faint threshold-times', text: times !== null && times >= 1.05 ? `${format.digits(times)} × the limit` : 'at the limit' }));
  });
  return rows.length ? section('Why: thresholds that were crossed', h('ul', { class: 'thresholds' }, rows)) : null;
}

function seen(alert) {
  const rows = words.evidence(alert);
  return rows.length ? section('What was seen', h('dl', { class: 'evidence' }, rows.map(([label, text]) => h('div', {}, h('dt', { text: format.visible(label, 60) }), h('dd', { text }))))) : null;
}

function sources(app, alert) {
  const most = Math.max(1, ...(alert.top_sources ?? []).map(({ packets }) => packets));
  const rows = (alert.top_sources ?? []).map(({ ip, packets }) => h('li', {}, h('a', { href: app.route.href({ view: 'flows', filter: `host:${ip}` }) }, foreign(ip, 60, { class: 'mono' })), h('span', { class: 'num', text: format.exact(packets) }), h('span', { class: 'bar', 'aria-hidden': 'true' }, h('i', { style: { width: `${packets / most * 100}%` } }))));
  const ports = (alert.ports ?? []).map((port) => h('a', { class: 'chip mono', href: app.route.href({ view: 'flows', filter: `port:${port}` }), text: String(port) }));
  return [rows.length ? section('Sources with the most', h('ol', { class: 'sources' }, rows)) : null, ports.length ? section('Ports', h('p', { class: 'chips' }, ports)) : null];
}

function examples(app, alert) {
  const flows = (alert.flows ?? []).map(({ community_id, protocol }) => h('li', {}, h('span', { class: 'dim', text: format.visible(protocol, 20) }), ' ', h('code', { class: 'mono', text: format.visible(community_id, 60) }), ' ', copyButton(app, community_id, 'Community ID')));
  const packets = (alert.packets ?? []).length ? h('p', { class: 'dim', text: `First packets: ${alert.packets.map((n) => `#${format.exact(n)}`).join(', ')}` }) : null;
  const recording = alert.recording ? h('p', { class: 'dim' }, 'Recording: ', foreign(alert.recording, 120, { class: 'mono' })) : null;
  return flows.length || packets || recording ? section('Examples', flows.length ? h('ul', { class: 'examples' }, flows) : null, packets, recording) : null;
}

function rule(alert) {
  return h('p', { class: 'faint detail-rule', text: `Rule ${format.visible(alert.kind, 40)}, window ${format.duration(alert.window_secs)}, over after ${format.duration(alert.cooldown_secs)} of quiet. Key: ${format.visible(alert.key, 120)}` });
}

export function copyButton(app, text, what) {
  const copy = async () => {
    try { await navigator.clipboard.writeText(text); app.toast(`${what} copied`); } catch { app.toast('The browser does not allow copying here'); }
  };
  return h('button', { class: 'link-button', type: 'button', 'aria-label': `Copy ${what}`, text: 'copy', on: { click: copy } });
}

// Asks what is muted, for how long and why.
function muteDialog(app, alert, actions) {
  const end = alert.attacker ?? alert.victim;
  const field = (id, text, input) => h('label', { class: 'field', for: id }, text, input);
  const network = h('input', { type: 'text', id: 'mute-network', value: end?.network ?? end?.ip ?? '', autocomplete: 'off', spellcheck: 'false' });
  const port = h('input', { type: 'number', id: 'mute-port', min: '0', max: '65535', value: end?.port ?? '' });
  const reason = h('input', { type: 'text', id: 'mute-reason', required: true, maxlength: '500', autocomplete: 'off' });
  const length = h('select', { id: 'mute-length' }, MUTE_LENGTHS.map(([secs, text]) => h('option', { value: secs, selected: secs === 86400, text })));
  const problem = h('p', { class: 'form-problem', role: 'alert' });
  const life = h('p', { class: 'mute-life', id: 'mute-life', role: 'status' });
  const sayLife = () => setText(life, `It lives until ${format.when(app.store.now() + Number(length.value), app.store.now())} or until the program ends, whichever is first. A rule in the configuration file lives on.`);
  length.addEventListener('change', sayLife);
  length.setAttribute('aria-describedby', 'mute-life');
  sayLife();
  const submit = async (event) => {
    event.preventDefault();
    try {
      await app.api('mutes', {}, { body: { kind: alert.kind, network: network.value.trim() || null, port: port.value === '' ? null : Number(port.value), reason: reason.value.trim(), seconds: Number(length.value) } });
      dialog.close();
      app.toast(`${words.kindText(alert.kind)} is muted there for ${length.selectedOptions[0].textContent}, or until the program ends`);
      actions.muted();
    } catch (error) { problem.textContent = error.message; }
  };
  const dialog = h('dialog', { class: 'dialog mute', 'aria-labelledby': 'mute-title' }, h('form', { on: { submit } },
    h('h2', { id: 'mute-title', text: `Mute: ${words.kindText(alert.kind)}` }), h('p', { class: 'dim', text: 'Alerts of this kind that fit and begin from now on are not told. They are counted.' }),
    field('mute-network', 'Host or network (empty: any)', network), field('mute-port', 'Port (empty: any)', port), field('mute-length', 'For', length), life, field('mute-reason', 'Reason', reason), problem,
    h('footer', {}, h('button', { class: 'button', type: 'button', text: 'Cancel', on: { click: () => dialog.close() } }), h('button', { class: 'button primary', type: 'submit', text: 'Mute' }))));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}
