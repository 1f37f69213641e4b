// What the numbers of a flow mean, in sentences.
//
// Owns the wording. Knows no element. Invariant: a sentence is made only of values that are known.

import { bytes, digits, exact, known, ms, percent } from './format.js';
import { retransmitted } from './flow_columns.js';

const FLAG_NAMES = { C: 'CWR', E: 'ECE', U: 'URG', A: 'ACK', P: 'PSH', R: 'RST', S: 'SYN', F: 'FIN' };
const STATES = {
  syn_sent: 'The client asked for a connection; no answer was seen.', syn_ack: 'The server answered the SYN; the handshake is not complete.',
  established: 'The connection is established.', fin_wait: 'One side has closed; the other has not yet.', closed: 'Both sides closed in order.',
  reset: 'The connection was reset.', unknown: 'The beginning of the connection was not seen.',
};
/** Below this share retransmissions are normal on any path; from it on they are felt. */
const RETRANSMITTED_MUCH = 0.01;

const good = (text) => ({ text, mark: 'ok' });
const note = (text) => ({ text, mark: 'note' });
const bad = (text) => ({ text, mark: 'bad' });
const flags = (text) => [...String(text ?? '')].map((letter) => FLAG_NAMES[letter]).filter(Boolean).join(' ');
const toServer = (flow) => (flow.client === 'b_to_a' || (!flow.client && flow.initiator === 'b_to_a') ? ['b_to_a', 'a_to_b'] : ['a_to_b', 'b_to_a']);

/** Sentences about a flow: [{text, mark: ok, note or bad}]. Only TCP says more than its volume. */
export function facts(flow) {
  const found = flow.protocol === 'tcp' ? tcpFacts(flow) : [];
  if (flow.icmp_errors > 0) found.push(bad(`${exact(flow.icmp_errors)} ICMP ${flow.icmp_errors === 1 ? 'error was' : 'errors were'} sent about this flow.`));
  if (flow.fragments > 0) found.push(note(`${exact(flow.fragments)} packets came as later fragments.`));
  return found;
}

function tcpFacts(flow) {
  return [connection(flow), handshake(flow), repeats(flow), lateness(flow), gaps(flow), ...sides(flow), ...windows(flow), segments(flow), seenFlags(flow)].filter(Boolean);
}

function connection(flow) {
  const text = STATES[flow.tcp_state];
  if (!text) return null;
  return flow.tcp_state === 'reset' || flow.tcp_state === 'syn_sent' ? bad(text) : flow.tcp_state === 'unknown' || flow.tcp_state === 'syn_ack' ? note(text) : good(text);
}

function handshake(flow) {
  return known(flow.handshake_rtt_ms) && flow.handshake_rtt_ms > 0 ? good(`The handshake took ${ms(flow.handshake_rtt_ms)}.`) : null;
}

function repeats(flow) {
  const share = retransmitted(flow);
  if (share === null) return null;
  if (share === 0) return good('No segment was retransmitted.');
  const spurious = flow.spurious_retransmissions > 0 ? `, ${exact(flow.spurious_retransmissions)} of them without need` : '';
  const text = `${percent(share)} retransmitted: ${exact(flow.retransmissions)} of ${exact(flow.packets_total)} packets${spurious}.`;
  return share >= RETRANSMITTED_MUCH ? bad(text) : note(text);
}

function lateness(flow) {
  return flow.out_of_order > 0 ? note(`${exact(flow.out_of_order)} segments arrived out of order.`) : null;
}

function gaps(flow) {
  return flow.lost_segments > 0 ? note(`${exact(flow.lost_segments)} gaps: segments before were never seen here.`) : null;
}

function sides(flow) {
  return [['server', 'To the server and back'], ['client', 'To the client and back']].map(([side, text]) => {
    const usual = flow[`rtt_${side}_ewma_ms`];
    if (!known(usual)) return null;
    const [least, most] = [flow[`rtt_${side}_min_ms`], flow[`rtt_${side}_max_ms`]];
    return good(`${text}: ${ms(usual)}${known(least) && known(most) ? `, from ${ms(least)} to ${ms(most)}` : ''}.`);
  });
}

function windows(flow) {
  const [up, down] = toServer(flow);
  const closed = [['client', up], ['server', down]].map(([side, direction]) => {
    const time = flow[`zero_window_ms_${direction}`];
    return known(time) ? bad(`The ${side} took no more data for ${time > 0 ? ms(time) : 'a moment'} (its window was 0).`) : null;
  });
  const sizes = [['client', up], ['server', down]].map(([side, direction]) => [side, flow[`window_max_${direction}`]]).filter(([, size]) => known(size));
  const largest = sizes.length > 0 ? note(`Largest window: ${sizes.map(([side, size]) => `${side} ${bytes(size)}`).join(', ')}.`) : null;
  return [...closed, largest];
}

function segments(flow) {
  const [up, down] = toServer(flow);
  const sizes = [['client', up], ['server', down]].filter(([, direction]) => known(flow[`mss_${direction}`]))
    .map(([side, direction]) => {
      const scale = flow[`window_scale_${direction}`];
      return `${side} ${digits(flow[`mss_${direction}`])} B${known(scale) ? ` with window scale ${scale}` : ''}`;
    });
  return sizes.length > 0 ? note(`Announced segment size: ${sizes.join(', ')}.`) : null;
}

function seenFlags(flow) {
  const [up, down] = toServer(flow);
  const parts = [['client', up], ['server', down]].map(([side, direction]) => [side, flags(flow[`tcp_flags_${direction}`])]).filter(([, names]) => names);
  return parts.length > 0 ? note(`Flags seen: ${parts.map(([side, names]) => `${side} ${names}`).join('; ')}.`) : null;
}

/** The capture filter (pcap-filter) of a flow's packets, with and without a VLAN tag. */
export function bpfOf(flow) {
  const hosts = `host ${flow.client_ip} and host ${flow.server_ip}`;
  const known_ports = ['tcp', 'udp', 'sctp'].includes(flow.protocol) && flow.client_port && flow.server_port;
  const protocol = { tcp: 'tcp', udp: 'udp', sctp: 'sctp', icmp: 'icmp', icmpv6: 'icmp6' }[flow.protocol];
  const inner = [hosts, protocol, known_ports ? `port ${flow.client_port} and port ${flow.server_port}` : null].filter(Boolean).join(' and ');
  const hasVlan = Array.isArray(flow.vlan) ? flow.vlan.length > 0 : flow.vlan !== null && flow.vlan !== undefined;
  return hasVlan ? `(${inner}) or (vlan and ${inner})` : inner;
}
