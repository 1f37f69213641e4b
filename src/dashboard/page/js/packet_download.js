// The download of packets that the flight recorder holds, by a capture filter.
//
// Owns the capture filter as typed. Knows no list. Invariant: where a download is not possible, the button says why.

import { h, setAttr, setText } from './dom.js';
import { button } from './elements.js';
import { visible } from './format.js';
import { download } from './flows_bar.js';

/** Why packets cannot be downloaded; null where they can. */
export function whyNoDownload(hello) {
  if (!hello) return 'There is no connection yet.';
  if (hello.role !== 'download') return 'Your role looks only; downloads need the role download.';
  if (hello.has?.recorder === false) return 'The flight recorder is not on, so no packets are kept.';
  return null;
}

/** Options: onBpf(text). */
export class PacketDownload {
  constructor(app, { onBpf }) {
    this.app = app;
    this.onBpf = onBpf;
    this.input = h('input', {
      class: 'bpf-input mono', type: 'text', 'aria-label': 'Capture filter (BPF) of the download', placeholder: 'BPF, for example tcp port 443', spellcheck: 'false', autocomplete: 'off',
      autocapitalize: 'off', maxlength: '4096', on: { keydown: (event) => { if (event.key === 'Enter') this.get(); }, change: () => this.onBpf(this.input.value.trim()) },
    });
    this.button = button('Download pcapng', () => this.get());
    this.message = h('div', { class: 'problem', role: 'alert', hidden: true });
    this.element = h('div', { class: 'packet-download', role: 'group', 'aria-label': 'Download of packets that the recorder holds' }, this.input, this.button);
    this.offHello = app.store.on('hello', () => this.showState());
    this.showState();
  }

  set(bpf) {
    if (document.activeElement !== this.input && this.input.value !== bpf) this.input.value = bpf;
  }

  showState() {
    const why = whyNoDownload(this.app.store.hello);
    this.button.disabled = why !== null;
    this.input.disabled = why !== null;
    setAttr(this.element, 'title', why ?? 'Packets of the flight recorder that fit, as a file');
  }

  /** The server judges the filter first, so that a wrong one gives words and no broken file. */
  async get() {
    const bpf = this.input.value.trim();
    this.onBpf(bpf);
    this.message.hidden = true;
    this.button.disabled = true;
    const wrong = await this.whatIsWrong(bpf);
    this.showState();
    if (wrong) this.say(wrong);
    else download(this.app.url('api/v1/capture', { bpf: bpf || null }), 'packets.pcapng');
  }

  /** What the server has against a filter, null where nothing: it is asked for a second in which there was no packet. */
  async whatIsWrong(bpf) {
    if (!bpf) return null;
    let response;
    try {
      response = await fetch(this.app.url('api/v1/capture', { bpf, from: 0, to: 1 }), { credentials: 'same-origin' });
    } catch {
      return 'The server cannot be reached.';
    }
    if (response.status < 400 || response.status >= 500) {
      await response.body?.cancel();
      return null;
    }
    const error = (await response.json().catch(() => null))?.error;
    return error ? `${error.column ? `Column ${error.column}: ` : ''}${visible(error.message, 300)}` : `The server answered ${response.status}.`;
  }

  say(text) {
    this.message.hidden = false;
    setText(this.message, text);
  }

  leave() {
    this.offHello();
  }
}
