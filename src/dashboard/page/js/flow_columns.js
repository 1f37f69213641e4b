// The columns of the flows table: which there are, what they ask of the server, how a cell is drawn.
//
// Owns columns that are made of several fields (client, server, share of retransmissions). Knows no view. Invariant: a cell is
// updated in place; elements are made once per cell, whatever row it shows.

import { TIME_OF_DAY, cellValue, endpoint, exactValue, headingUnit, isMono, isQuantity, valueOf } from './flow_fields.js';
import { h, setAttr, setText } from './dom.js';
import { showText } from './elements.js';
import { NONE, bits, count, digits, duration, known, percent, shortDuration, visible } from './format.js';

const USUAL = ['client', 'server', 'service', 'tcp_state', 'rate', 'bytes_total', 'packets_total', 'rtt_ewma_ms', 'retransmitted', 'duration_secs'];
/** Names that a client asked for; the first that a flow has is shown. */
const NAMES = ['tls_sni', 'quic_sni', 'server_name', 'http_host', 'dns_name', 'netbios_name', 'app_name'];
/** More columns than this cannot be read. */
export const COLUMNS_MAX = 40;
/** A share of retransmissions from which on it is said in colour and with a mark. */
const RETRANSMITTED_MUCH = 0.01;
const KINDS = 8;

/** Fields that every request asks for, because details and menus need them. */
const ALWAYS = ['protocol', 'client_ip', 'client_port', 'server_ip', 'server_port'];

/** Colours of names that stand beside each other most often, so that they differ. */
const KNOWN_KINDS = {
  tcp: 0, udp: 1, icmp: 3, icmpv6: 3, arp: 5, sctp: 4, igmp: 6, gre: 7, https: 0, tls: 0, quic: 1, http: 3, dns: 2, domain: 2, ssh: 6, postgresql: 4, mysql: 4, rsync: 5, kafka: 7, ntp: 7,
};

/** A number for a colour, the same for the same name everywhere. */
export function kindOf(name) {
  if (Object.hasOwn(KNOWN_KINDS, name)) return KNOWN_KINDS[name];
  let hash = 0;
  for (const c of String(name).slice(0, 64)) hash = (hash * 31 + c.codePointAt(0)) % 9973;
  return hash % KINDS;
}

/** How far a flow is: of TCP the state of the connection. */
function stateOf(flow) {
  return flow.tcp_state ?? flow.flow_state;
}

/** A value that can be clicked, made once per cell. */
function valueSpan(cell, className) {
  let span = cell.firstElementChild;
  if (!span) {
    span = h('bdi', { class: className });
    cell.append(span);
  }
  return span;
}

function endpointColumn(key, label, title) {
  const names = [`${key}_ip`, `${key}_port`];
  return {
    key, label, title, fields: names, sort: names[0], width: 'minmax(152px, 1.5fr)', class: 'mono',
    parts: (flow) => names.map((name) => ({ name, value: flow[name] })).filter((part) => part.value),
    text: (flow) => endpoint(flow[names[0]], flow[names[1]]),
    render(cell, flow) {
      const span = valueSpan(cell, 'is-value');
      if (!span.firstChild) span.append(h('span', {}), h('span', { class: 'dim' }));
      const [ip, port] = [flow[names[0]], flow[names[1]]];
      const isSix = String(ip ?? '').includes(':') && port;
      showText(span.firstChild, ip ? (isSix ? `[${ip}]` : ip) : NONE, 45);
      showText(span.lastChild, port ? `:${port}` : '', 8);
      setAttr(cell, 'title', isSix ? endpoint(ip, port) : null);
    },
  };
}

/** The field that holds the name a flow was asked by, and the name; of several, the first. */
export function nameOf(flow) {
  for (const field of NAMES) {
    const value = valueOf(flow, field);
    const first = Array.isArray(value) ? value[0] : value;
    if (first) return { field, value: String(first), more: Array.isArray(value) ? value.length - 1 : 0 };
  }
  return null;
}

/** What a flow is: by its content where that is known, else by its port. TLS says less than the service around it. */
export function applicationOf(flow) {
  const application = valueOf(flow, 'app_protocol');
  return (application && !(application === 'tls' && flow.service) ? application : flow.service) ?? flow.protocol ?? null;
}

const COMPOSED = {
  client: endpointColumn('client', 'Client', 'Who opened the connection, or sent first'),
  server: endpointColumn('server', 'Server', 'Who answered'),
  service: {
    key: 'service', label: 'Service', title: 'Application by content, else service by port, else the protocol', fields: ['server_port', 'protocol', 'app_protocol'], sort: 'service', width: 'minmax(96px, .7fr)',
    parts: (flow, fields) => {
      const application = valueOf(flow, 'app_protocol');
      if (application && application === applicationOf(flow) && fields.word('app_protocol')) return [{ name: 'app_protocol', value: application }];
      return (flow.service && fields.word('service') ? [{ name: 'service', value: flow.service }] : [{ name: 'server_port', value: flow.server_port }, { name: 'protocol', value: flow.protocol }]).filter((part) => part.value);
    },
    text: (flow) => applicationOf(flow) ?? NONE,
    render(cell, flow) {
      const tag = valueSpan(cell, 'tag is-value');
      const name = applicationOf(flow) ?? NONE;
      const className = `tag is-value kind-${kindOf(name)}`;
      if (tag.className !== className) tag.className = className;
      showText(tag, name, 24);
    },
  },
  name: {
    key: 'name', label: 'Name', title: 'The name that was asked for: of TLS, QUIC, HTTP or DNS; in parentheses that of a DNS answer before', fields: NAMES, width: 'minmax(150px, 1.6fr)',
    parts: (flow) => { const name = nameOf(flow); return name ? [{ name: name.field, value: name.value }] : []; },
    text: (flow) => nameOf(flow)?.value ?? '',
    render(cell, flow) {
      const span = valueSpan(cell, '');
      const name = nameOf(flow);
      span.className = name ? 'is-value' : '';
      showText(span, name ? (name.field === 'app_name' ? `(${name.value})` : name.value) : NONE, 120);
      cell.classList.toggle('dim', !name);
      setAttr(cell, 'title', name && name.more > 0 ? `and ${name.more} more` : null);
    },
  },
  tcp_state: {
    key: 'tcp_state', label: 'State', title: 'State of the connection; flows that ended are kept for a while', fields: ['tcp_state', 'flow_state'], sort: 'tcp_state',
    width: 'minmax(98px, .7fr)',
    parts: (flow) => (stateOf(flow) ? [{ name: flow.tcp_state ? 'tcp_state' : 'flow_state', value: stateOf(flow) }] : []),
    text: (flow) => stateOf(flow) ?? flow.state,
    render(cell, flow) {
      const span = valueSpan(cell, 'state is-value');
      const words = { syn_sent: 'SYN sent', syn_ack: 'SYN-ACK', fin_wait: 'closing', one_way: 'one way', two_way: 'both ways' };
      const isEnded = flow.state === 'ended';
      const word = stateOf(flow);
      const state = word ? (words[word] ?? word) : isEnded ? 'ended' : 'active';
      const isBad = flow.tcp_state === 'reset';
      const className = `state ${word ? 'is-value' : ''} ${isBad ? 'is-bad' : isEnded ? 'is-ended' : ''}`;
      if (span.className !== className) span.className = className;
      const isOpen = isEnded && flow.tcp_state && flow.tcp_state !== 'closed' && !isBad;
      showText(span, isOpen ? 'ended' : state, 30);
      setAttr(cell, 'title', isOpen ? `ended while ${state}` : null);
    },
  },
  rate: {
    key: 'rate', label: 'Rate', unit: 'bit/s', title: 'Smoothed rate of both directions', fields: [], sort: 'rate', align: 'end', width: 'minmax(112px, .7fr)',
    class: 'is-number', parts: () => [], text: (flow) => bits(flow.rate_bps),
    render(cell, flow, context) {
      if (!cell.firstChild) {
        cell.append(h('span', { class: 'bar', 'aria-hidden': 'true' }, h('i', {}), h('i', {})), h('span', { class: 'bar-text' }));
      }
      const [bar, text] = cell.children;
      const largest = context.largestRate || 1;
      // The root makes small rates visible beside large ones.
      const width = known(flow.rate_bps) ? Math.sqrt(Math.min(1, flow.rate_bps / largest)) * 100 : 0;
      const toClient = flow.rate_to_client_bps ?? null;
      const share = toClient === null || !flow.rate_bps ? 1 : toClient / flow.rate_bps;
      setStyle(bar.firstChild, 'width', `${(width * share).toFixed(1)}%`);
      setStyle(bar.lastChild, 'width', `${(width * (1 - share)).toFixed(1)}%`);
      const shown = known(flow.rate_bps) ? count(flow.rate_bps) : NONE;
      // On a phone the unit follows; at a line's end a space is not seen.
      setText(text, /\d$/.test(shown) ? `${shown} ` : shown);
      const title = toClient === null ? null : `to client ${bits(toClient)}, to server ${bits(flow.rate_to_server_bps)}`;
      setAttr(cell, 'title', title);
    },
  },
  retransmitted: {
    key: 'retransmitted', label: 'Retr.', unit: '%', title: 'Retransmitted segments, of all packets of the flow', fields: ['retransmissions', 'packets_total', 'protocol'],
    sort: 'retransmissions', align: 'end', width: '82px', class: 'is-number', parts: () => [],
    text: (flow) => percent(retransmitted(flow)),
    render(cell, flow) {
      const share = retransmitted(flow);
      const isMuch = share !== null && share >= RETRANSMITTED_MUCH;
      const text = share === null ? NONE : share === 0 ? '0' : `${isMuch ? '▲ ' : ''}${share < 0.0005 ? '<0.1' : digits(share * 100)}`;
      setText(cell, text);
      cell.classList.toggle('is-bad', isMuch);
      cell.classList.toggle('dim', share === null || share === 0);
      setAttr(cell, 'title', share === null ? null : `${flow.retransmissions} of ${flow.packets_total} packets`);
    },
  },
};

/** Share of retransmissions; null where the protocol does not tell. */
export function retransmitted(flow) {
  if (flow.protocol !== 'tcp' || !flow.packets_total || !known(flow.retransmissions)) return null;
  return flow.retransmissions / flow.packets_total;
}

function setStyle(node, name, value) {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
}

/** A column of one field. */
function fieldColumn(field) {
  const isNumberField = isQuantity(field);
  const isDuration = field.name === 'duration_secs';
  const width = TIME_OF_DAY.has(field.name) ? '124px' : isNumberField ? 'minmax(78px, .45fr)' : field.type === 'address' || field.type === 'endpoint' ? 'minmax(150px, 1fr)' : 'minmax(104px, .8fr)';
  return {
    key: field.name, label: SHORT_LABELS[field.name] ?? field.label, unit: isDuration ? '' : headingUnit(field), title: field.description, fields: [field.name],
    sort: field.sortable ? field.name : null, align: isNumberField ? 'end' : 'start', width: isDuration ? '76px' : width,
    class: `${isNumberField ? 'is-number' : ''} ${isMono(field) ? 'mono' : ''}`,
    field,
    parts: (flow) => [{ name: field.name, value: valueOf(flow, field.name) }].filter((part) => part.value !== null && part.value !== undefined),
    text: (flow) => copyForm(valueOf(flow, field.name)),
    render(cell, flow) {
      const value = valueOf(flow, field.name);
      const text = isDuration ? shortDuration(value) : cellValue(field, value);
      const isClickable = field.filter_word && !isNumberField && value !== null && value !== undefined;
      const span = valueSpan(cell, '');
      span.className = isClickable ? 'is-value' : '';
      showText(span, text, 120);
      cell.classList.toggle('dim', text === NONE || text === '0');
      setAttr(cell, 'title', isDuration ? duration(value) : exactValue(field, value) || null);
    },
  };
}
/** A value as it goes to the clipboard. */
export const copyForm = (value) => (Array.isArray(value) ? value.join(',') : value && typeof value === 'object' ? endpoint(value.ip, value.port) : String(value ?? ''));
const SHORT_LABELS = { bytes_total: 'Bytes', packets_total: 'Packets', rtt_ewma_ms: 'RTT', duration_secs: 'Age' };

/** Columns that are shown when nobody chose. */
export function defaultColumns(fields) {
  const hasNames = NAMES.some((candidate) => fields.has(candidate));
  return USUAL.flatMap((key) => (key === 'service' && hasNames ? [key, 'name'] : [key])).filter((key) => Object.hasOwn(COMPOSED, key) || fields.has(key));
}

/** A column of several fields, sorted by the first of its candidates that the server sorts by. */
function composedColumn(key, fields) {
  const column = Object.hasOwn(COMPOSED, key) ? COMPOSED[key] : null;
  if (!column || column.sort === 'rate') return column;
  const sort = [column.sort, ...column.fields].find((name) => fields.get(name)?.sortable) ?? null;
  return { ...column, sort };
}

/** The columns of these keys; those that the server does not know are left out. */
export function columnsOf(keys, fields) {
  const columns = keys.slice(0, COLUMNS_MAX).map((key) => composedColumn(key, fields) ?? (fields.has(key) ? fieldColumn(fields.get(key)) : null)).filter(Boolean);
  return columns.length > 0 ? columns : columnsOf(defaultColumns(fields), fields);
}

/** What can be chosen: [[group, [{key, label, description}]]]. */
export function columnChoices(fields) {
  const composed = Object.values(COMPOSED).map(({ key, label, title }) => ({ key, label, description: title }));
  const rest = fields.groups().map(([group, list]) => [group, list.filter((field) => !(field.name in COMPOSED))
    .map((field) => ({ key: field.name, label: field.label, description: field.description, unit: field.unit }))]);
  return [['In short', composed], ...rest].filter(([, list]) => list.length > 0);
}

/** The fields that a request must ask for, comma separated. */
export function fieldsAsked(columns, fields) {
  const names = new Set([...ALWAYS, ...columns.flatMap((column) => column.fields)]);
  return [...names].filter((name) => fields.has(name)).join(',');
}

/** The fields of an export: those of the columns, in their order. */
export function fieldsExported(columns, fields) {
  return [...new Set(columns.flatMap((column) => column.fields))].filter((name) => fields.has(name)).join(',');
}

/** A row as text, for the clipboard: values separated by tabs. */
export function rowText(columns, flow) {
  return columns.map((column) => visible(column.text(flow), 300)).join('\t');
}
