// The view of one flow: its detail on the whole page.
//
// Owns nothing but the frame around the detail. The address has the flow's id.

import { h } from '../dom.js';
import { FlowDetail } from '../flow_detail.js';
import { loadFields } from '../flow_fields.js';
import { PanelState } from '../panel_state.js';

class FlowView {
  constructor(root, app) {
    this.app = app;
    this.back = h('a', { class: 'back-link', text: '← Flows', href: app.route.href({ view: 'flows' }) });
    this.state = new PanelState();
    this.panel = h('div', { class: 'panel flow-panel' }, this.state.element);
    this.element = h('div', { class: 'flow-view' }, h('h1', { class: 'sr', text: 'Flow' }), this.back, this.panel);
    root.append(this.element);
    this.start();
  }

  async start() {
    clearTimeout(this.retry);
    if (this.state.kind !== 'failed') this.state.loading('Loading this flow');
    try {
      this.fields = await loadFields(this.app);
    } catch (error) {
      if (this.isLeft) return;
      this.state.failed('This flow cannot be read', error, () => this.start());
      this.retry = setTimeout(() => this.start(), 3000);
      return;
    }
    if (this.isLeft || this.detail) return;
    this.state.ready();
    this.detail = new FlowDetail(this.app, this.fields);
    this.panel.append(this.detail.element);
    this.apply();
  }

  apply() {
    const id = this.app.route.params.get('id');
    if (!this.detail) return;
    if (id) this.detail.show(id);
    else this.detail.fail({ status: 404 });
  }

  leave() {
    this.isLeft = true;
    clearTimeout(this.retry);
    this.detail?.leave();
    this.element.remove();
  }
}

export const view = {
  name: 'flow',
  title: 'Flow',
  mount(root, app) {
    const flow = new FlowView(root, app);
    return { frame: () => flow.detail?.tick(), route: () => flow.apply(), leave: () => flow.leave() };
  },
};
