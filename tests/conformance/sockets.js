// What sockets cost: the memory of the built service before, and with so many idle subscriptions to the events of one
// organization, each on a socket of its own. `node sockets.js 10000`; `ORGLEDGER_BIN` names the program to measure, and the
// shell has to allow as many open files (`ulimit -n 20000`). It reports and asserts nothing but that all stay open.

import WebSocket from 'ws';

import { memory, pause, signIn, startService } from './service.js';

const count = Number(process.argv[2] ?? 10_000);
/** How many are opened at a time. */
const AT_ONCE = 200;
/** How many go out from one address: an address has some 28,000 ports for one destination. */
const AN_ADDRESS = 20_000;
const EVENTS = `subscription ($id: ID!) { organizationEvents(organizationId: $id) { cursor node { id type data } } }`;

/** A socket with one subscription; resolves once the two events of a new organization have come. */
function follow(url, credential, organization, number) {
  return new Promise((resolve, reject) => {
    const localAddress = `127.0.0.${2 + Math.floor(number / AN_ADDRESS)}`;
    const socket = new WebSocket(url, 'graphql-transport-ws', { localAddress, perMessageDeflate: false });
    let events = 0;
    socket.on('error', reject);
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${credential}` } })));
    socket.on('message', (text) => {
      const { type } = JSON.parse(text);
      if (type === 'connection_ack') {
        const payload = { query: EVENTS, variables: { id: organization } };
        socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload }));
      } else if (type === 'next') {
        events += 1;
        if (events === 2) resolve(socket);
      } else reject(new Error(String(text)));
    });
  });
}

const service = await startService({});
try {
  const session = await signIn('ada@example.com', service);
  const made = await service.ask('mutation { createOrganization(input: { name: "Acme", kind: TEAM }) { organization { id } } }', session);
  const { id } = made.body.data.createOrganization.organization;
  const url = `${service.url.replace('http', 'ws')}/graphql`;
  const before = await memory(service.pid);
  console.log(`before: ${before.now} MB`);
  const sockets = [];
  const began = performance.now();
  while (sockets.length < count) {
    const some = Math.min(AT_ONCE, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: some }, (_, at) => follow(url, session, id, sockets.length + at)))));
    if (sockets.length % 2000 === 0) console.log(`${sockets.length}: ${(await memory(service.pid)).now} MB`);
  }
  console.log(`${count} subscriptions were opened in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await pause(5000);
  const idle = await memory(service.pid);
  const each = ((idle.now - before.now) * 1024) / count;
  console.log(`idle: ${idle.now} MB, at most ${idle.most} MB; ${each.toFixed(1)} KB each`);
  // All hear of one event.
  const heard = sockets.map((socket) => new Promise((resolve) => socket.once('message', resolve)));
  const sent = performance.now();
  await service.ask(`mutation { updateOrganization(input: { organizationId: "${id}", name: "Apex" }) { cursor } }`, session);
  await Promise.all(heard);
  console.log(`all heard of an event within ${(performance.now() - sent).toFixed(0)} ms; ${(await memory(service.pid)).now} MB after it`);
  const open = sockets.filter((socket) => socket.readyState === WebSocket.OPEN).length;
  if (open !== count) throw new Error(`${open} of ${count} are open`);
  for (const socket of sockets) {
    socket.removeAllListeners('close');
    socket.terminate();
  }
  await pause(2000);
  console.log(`after all have gone: ${(await memory(service.pid)).now} MB`);
} finally {
  await service.stop();
}
