// What hostile clients cost: the memory of the built service, and the longest that anybody waited, under documents, values
// and connections that are made to hold it up. `node barrage.js 30` goes on for so many seconds; `ORGLEDGER_BIN` names the
// program to measure. It reports, and asserts nothing but that the service answers afterwards.

import { connect } from 'node:net';
import WebSocket from 'ws';

import { memory, pause, signIn, startService } from './service.js';

const seconds = Number(process.argv[2] ?? 30);
/** How many attack at once, each with one request after the other. */
const ATTACKERS = 64;

const times = (count, text) => Array.from({ length: count }, (_, number) => text.replaceAll('#', number)).join(' ');
const nested = (depth, open, close) => open.repeat(depth) + close.repeat(depth);

/** Documents and variables, each within the longest body. `again` makes a document that was never sent before. */
const attacks = (organization, again) => [
  [`{ viewer { ...f0 } } ${times(9, 'fragment f# on Viewer { ...g# }')} #${again}`],
  [`{ viewer { ${times(1900, 'a#: __typename')} } } #${again}`],
  [`{ viewer { ${times(6000, 'a#: __typename')} } } #${again}`],
  [`query ${'@skip(if: true)'.repeat(4000)} { viewer { user { id } } } #${again}`],
  [`{ node(id: ${nested(30_000, '[', ']')}) { id } }`],
  [`{ node(id: "${'x'.repeat(60_000)} #${again}`],
  [`{ nodes(ids: [${'0,'.repeat(30_000)}]) { id } } #${again}`],
  [`query (${times(4000, '$a#: Int')}) { viewer { user { id } } } #${again}`],
  [`{ ${times(50, 'a#: __schema { types { name fields { name } } }')} } #${again}`],
  [`{ __schema { types { fields { ${times(450, 'a#: name')} } } } } #${again}`],
  [`{ __type(name: "Node") { ${'possibleTypes { interfaces { '.repeat(8)} name ${'} }'.repeat(8)} } } #${again}`],
  [`query ($i: [ID!]!) { nodes(ids: $i) { id } }`, { i: new Array(100_000).fill(0) }],
  [`query ($i: [ID!]) { organization(id: "${organization}") { members(filter: { roleIds: $i }) { totalCount } } }`, { i: new Array(100_000).fill(0) }],
  [`query ($i: String) { organization(id: "${organization}") { members(search: $i) { totalCount } } }`, { i: 'x'.repeat(250_000) }],
  [`{ ${times(40, `a#: organization(id: "${organization}") { members(first: 100) { nodes { id user { name email } role { name permissions } } } }`)} } #${again}`],
  [`query ($i: JSON) { viewer { user { id } } }`, { i: 'nested' }],
];

const service = await startService({});
let running = true;
const counts = {};
let slowest = 0;

/** One attacker, who sends one document after the other. */
async function attack(first, credential, organization) {
  for (let turn = first; running; turn += 1) {
    const all = attacks(organization, `${first}.${turn}`);
    const [query, variables] = all[turn % all.length];
    const body = JSON.stringify({ query, variables }).replace('"nested"', nested(60_000, '[', ']'));
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${credential}` };
    const began = performance.now();
    let said;
    try {
      const response = await fetch(`${service.url}/graphql`, { method: 'POST', headers, body });
      const text = await response.text();
      said = `${response.status} ${text.match(/"code":"(\w+)"/)?.[1] ?? ''}`;
    } catch (error) {
      // A connection that broke is an outcome too, and is told with the others.
      said = `no answer: ${error.cause?.message ?? error.message}`;
    }
    slowest = Math.max(slowest, performance.now() - began);
    counts[said] = (counts[said] ?? 0) + 1;
  }
}

/** Sockets that flood: messages, pings and operations that are given up at once. */
async function flood(credential) {
  const socket = new WebSocket(`${service.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  socket.on('error', () => {});
  await new Promise((resolve) => socket.on('open', resolve));
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${credential}` } }));
  for (let turn = 0; running && socket.readyState === WebSocket.OPEN; turn += 1) {
    socket.ping();
    socket.send(JSON.stringify({ type: 'subscribe', id: `${turn}`, payload: { query: '{ viewer { user { id } } }' } }));
    socket.send(JSON.stringify({ type: 'complete', id: `${turn}` }));
    if (turn % 50 === 0) await pause(1);
  }
  socket.terminate();
}

/** Connections that say a little and then nothing, or that ask and do not read. */
function silent(number) {
  const { hostname, port } = new URL(service.url);
  const stream = connect({ host: hostname, port });
  stream.on('error', () => {});
  if (number % 2) stream.write('POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{"query":"');
  else {
    stream.pause();
    stream.write('GET /graphql?query={__schema{types{name,fields{name,description}}}} HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200));
  }
  return stream;
}

try {
  const session = await signIn('ada@example.com', service);
  const made = await service.ask('mutation { createOrganization(input: { name: "Acme", kind: TEAM }) { organization { id } } }', session);
  const { id } = made.body.data.createOrganization.organization;
  console.log('before:', await memory(service.pid));
  const streams = Array.from({ length: 500 }, (_, number) => silent(number));
  const attackers = Array.from({ length: ATTACKERS }, (_, first) => attack(first, session, id));
  const floods = Array.from({ length: 8 }, () => flood(session));
  let longest = 0;
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const began = performance.now();
    const { body } = await service.ask('{ viewer { user { email } } }', session);
    if (body.data.viewer.user.email !== 'ada@example.com') throw new Error(JSON.stringify(body));
    longest = Math.max(longest, performance.now() - began);
    await pause(100);
  }
  running = false;
  await Promise.all([...attackers, ...floods]);
  console.log('answers:', counts);
  console.log(`the slowest attack took ${slowest.toFixed(0)} ms, a small question in between ${longest.toFixed(0)} ms at most`);
  console.log('under it:', await memory(service.pid));
  for (const stream of streams) stream.destroy();
  await pause(3000);
  console.log('after it:', await memory(service.pid));
  await service.ask('{ viewer { user { email } } }', session);
} finally {
  running = false;
  await service.stop();
}
