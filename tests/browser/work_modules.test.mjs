// Modules of the flows and packets views without a browser: the filter language, what is said of a flow, the ring of packets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoted, term, tokens, withTerm } from '../../src/dashboard/page/js/filter_language.js';
import { facts, bpfOf } from '../../src/dashboard/page/js/flow_facts.js';
import { PACKETS_MAX, PacketBuffer } from '../../src/dashboard/page/js/packet_buffer.js';
import { splitEndpoint } from '../../src/dashboard/page/js/packet_columns.js';

test('parts joined are the text, whatever it is', () => {
  const letters = 'ab:1 "\\()!<>=,|&\u202e🙂\n';
  let seed = 7;
  for (let round = 0; round < 3000; round += 1) {
    const text = Array.from({ length: round % 40 }, () => { seed = (seed * 48271) % 2147483647; return [...letters][seed % [...letters].length]; }).join('');
    const parts = tokens(text);
    assert.equal(parts.map((part) => part.text).join(''), text);
    assert.ok(parts.every((part) => text.startsWith(part.text, part.start)));
  }
  assert.deepEqual(tokens('!host:2001:db8::1 or bytes:>=1M').map(({ kind }) => kind),
    ['negation', 'word', 'colon', 'value', 'value', 'value', 'value', 'value', 'value', 'space', 'operator', 'space', 'word', 'colon', 'comparison', 'value']);
});

test('a long text takes linear time', () => {
  const began = performance.now();
  tokens(':'.repeat(200000));
  tokens('"'.repeat(200000));
  tokens(`"${'\\'.repeat(200000)}`);
  assert.ok(performance.now() - began < 3000, `${performance.now() - began} ms`);
});

test('values are quoted where they need it', () => {
  assert.equal(quoted('10.0.0.1'), '10.0.0.1');
  assert.equal(quoted('2001:db8::1'), '2001:db8::1');
  assert.equal(quoted('1:LQU9qZlK+B5F3KDmev6m5PMibrg='), '1:LQU9qZlK+B5F3KDmev6m5PMibrg=');
  for (const [value, text] of [['', '""'], ['a b', '"a b"'], ['*.example', '"*.example"'], ['>5', '">5"'], ['a"b\\', '"a\\"b\\\\"'], ["it's", '"it\'s"'], ['a,b', '"a,b"']]) assert.equal(quoted(value), text);
  assert.equal(term('name', 'a b', true), '!name:"a b"');
});

test('a term is added once, takes the place of its opposite, and keeps alternatives together', () => {
  assert.equal(withTerm('', 'a:1'), 'a:1');
  assert.equal(withTerm('a:1 b:2', 'a:1'), 'b:2 a:1');
  assert.equal(withTerm('a:1 b:2', '!a:1'), 'b:2 !a:1');
  assert.equal(withTerm('a:1 or b:2', 'c:3'), '(a:1 or b:2) c:3');
  assert.equal(withTerm('(a:1 or b:2) d:"x or y"', 'c:3'), '(a:1 or b:2) d:"x or y" c:3');
  assert.equal(withTerm('a:1', 'b:2 || c:3'), 'a:1 (b:2 || c:3)');
});

test('a ring keeps the latest packets, each once, and counts what came while it stood still', () => {
  const buffer = new PacketBuffer();
  const packets = (from, count) => Array.from({ length: count }, (_, index) => ({ id: from + index }));
  assert.equal(buffer.add(packets(1, 10)), 0);
  assert.equal(buffer.add(packets(5, 10)), 0);
  assert.deepEqual([buffer.count, buffer.at(0).id, buffer.at(13).id, buffer.at(14)], [14, 1, 14, undefined]);
  assert.equal(buffer.add(packets(15, PACKETS_MAX)), 14);
  assert.deepEqual([buffer.find(14), buffer.find(15), buffer.find(14 + PACKETS_MAX)], [-1, 0, PACKETS_MAX - 1]);
  for (let round = 0; round < 5; round += 1) buffer.hold(packets(5000 + round * 1000, 1000));
  assert.deepEqual([buffer.missed, buffer.waiting.length], [5000, PACKETS_MAX]);
  assert.equal(buffer.release(), PACKETS_MAX);
  assert.deepEqual([buffer.at(0).id, buffer.missed], [8000, 0]);
});

test('ends of packets are told from their ports', () => {
  assert.deepEqual(splitEndpoint('10.0.0.1:80'), { ip: '10.0.0.1', port: '80' });
  assert.deepEqual(splitEndpoint('[2001:db8::1]:80'), { ip: '2001:db8::1', port: '80' });
  assert.deepEqual(splitEndpoint('2001:db8::1'), { ip: '2001:db8::1', port: null });
  assert.deepEqual(splitEndpoint(null), { ip: null, port: null });
});

test('what is said of a flow is made of what is known', () => {
  const tcp = { protocol: 'tcp', tcp_state: 'established', packets_total: 100, retransmissions: 5, spurious_retransmissions: 1, out_of_order: 0, client: 'b_to_a', handshake_rtt_ms: 11, tcp_flags_b_to_a: 'APS', tcp_flags_a_to_b: 'AS', zero_window_ms_a_to_b: 340 };
  const texts = facts(tcp).map(({ text }) => text);
  assert.ok(texts.includes('The handshake took 11.0 ms.'));
  assert.ok(texts.includes('5.0 % retransmitted: 5 of 100 packets, 1 of them without need.'));
  assert.ok(texts.includes('The server took no more data for 340 ms (its window was 0).'));
  assert.ok(texts.includes('Flags seen: client ACK PSH SYN; server ACK SYN.'));
  assert.deepEqual(facts({ protocol: 'udp' }), []);
});

test('a capture filter has the ports of protocols that have some, and fits tagged packets', () => {
  const flow = { protocol: 'tcp', client_ip: '10.0.0.1', client_port: 5, server_ip: '10.0.0.2', server_port: 80 };
  assert.equal(bpfOf(flow), 'host 10.0.0.1 and host 10.0.0.2 and tcp and port 5 and port 80');
  assert.equal(bpfOf({ ...flow, protocol: 'icmp', client_port: 0, server_port: 0, vlan: [7] }), '(host 10.0.0.1 and host 10.0.0.2 and icmp) or (vlan and host 10.0.0.1 and host 10.0.0.2 and icmp)');
});

test('a flow is called by its content, and named by the first name that it has', async () => {
  const { applicationOf, nameOf } = await import('../../src/dashboard/page/js/flow_columns.js');
  assert.equal(applicationOf({ app: { protocol: 'ssh' }, service: 'https', protocol: 'tcp' }), 'ssh');
  assert.equal(applicationOf({ app_protocol: 'tls', service: 'https', protocol: 'tcp' }), 'https');
  assert.equal(applicationOf({ app_protocol: 'tls', protocol: 'tcp' }), 'tls');
  assert.equal(applicationOf({ protocol: 'udp' }), 'udp');
  assert.deepEqual(nameOf({ dns_name: ['a.example', 'b.example'] }), { field: 'dns_name', value: 'a.example', more: 1 });
  assert.equal(nameOf({ tls: { sni: 'www.example.com' }, http_host: ['x'] }).value, 'www.example.com');
  assert.deepEqual(nameOf({ app: { name: 'told.example', name_source: 'passive_dns' } }), { field: 'app_name', value: 'told.example', more: 0 });
  assert.equal(nameOf({ app: { name: 'told.example' }, http_host: ['own.example'] }).value, 'own.example');
  assert.equal(nameOf({ protocol: 'tcp' }), null);
});

test('the column of states has those of every protocol, and TCP its own', async () => {
  const { columnsOf, fieldsAsked, rowText } = await import('../../src/dashboard/page/js/flow_columns.js');
  const { Fields } = await import('../../src/dashboard/page/js/flow_fields.js');
  const fields = new Fields(['tcp_state', 'flow_state'].map((name) => ({ name, label: name, group: '', type: 'text', unit: null })));
  const columns = columnsOf(['tcp_state'], fields);
  assert.equal(fieldsAsked(columns, fields), 'tcp_state,flow_state');
  const parts = (flow) => columns[0].parts(flow);
  assert.deepEqual(parts({ tcp_state: 'reset', flow_state: 'reset' }), [{ name: 'tcp_state', value: 'reset' }]);
  assert.deepEqual(parts({ tcp_state: null, flow_state: 'queried' }), [{ name: 'flow_state', value: 'queried' }]);
  assert.deepEqual(parts({ tcp_state: null }), []);
  assert.equal(rowText(columns, { tcp_state: null, flow_state: 'one_way' }), 'one_way');
});
