// GraphQL over HTTP, WebSocket and server-sent events, held by the software that others test their servers with: the
// audits of graphql-http, and the clients graphql-ws and graphql-sse as they come.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { serverAudits } from 'graphql-http';
import { createClient as createStream } from 'graphql-sse';
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';

import { startService } from '../service.js';

let service;
let session;
let organization;

const EVENTS = `subscription ($id: ID!, $after: String) {
  organizationEvents(organizationId: $id, after: $after) { cursor node { sequence type } }
}`;

/** Signs somebody in by the letter that the service keeps. */
async function signIn(email) {
  await service.ask(`mutation { requestSignIn(input: { email: "${email}" }) { userErrors { code } } }`);
  const folder = path.join(service.data, 'mail');
  for (;;) {
    const letters = await readdir(folder).catch(() => []);
    const texts = await Promise.all(letters.filter((name) => name.endsWith('.eml')).map((name) => readFile(path.join(folder, name), 'utf8')));
    const token = texts.find((text) => text.includes(email))?.match(/sign-in\?token=([A-Za-z0-9]+)/)?.[1];
    if (token) {
      const { body } = await service.ask(`mutation { completeSignIn(input: { token: "${token}" }) { sessionToken } }`);
      return body.data.completeSignIn.sessionToken;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

before(async () => {
  service = await startService({});
  session = await signIn('ada@example.com');
  const made = await service.ask('mutation { createOrganization(input: { name: "Acme", kind: TEAM }) { organization { id } } }', session);
  organization = made.body.data.createOrganization.organization.id;
});

after(() => service.stop());

for (const audit of serverAudits({ url: () => `${service.url}/graphql` })) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    assert.equal(result.status, 'ok', result.reason);
  });
}

/** A client of the socket; it does not try again by itself, so that what closes it is seen. */
function socket(credential) {
  const connectionParams = credential && { authorization: `Bearer ${credential}` };
  const url = `${service.url.replace('http', 'ws')}/graphql`;
  return createSocket({ url, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
}

test('the socket answers queries and mutations', async () => {
  const client = socket(session);
  const run = async (query) => (await client.iterate({ query }).next()).value;
  const renamed = await run(`mutation { updateOrganization(input: { organizationId: "${organization}", name: "Apex" }) { organization { name } } }`);
  assert.deepEqual(renamed, { data: { updateOrganization: { organization: { name: 'Apex' } } } });
  assert.deepEqual(await run('{ viewer { user { email } } }'), { data: { viewer: { user: { email: 'ada@example.com' } } } });
  await assert.rejects(run('{ shoeSize }'), 'a document that is wrong ends with an error');
  await client.dispose();
});

test('the socket sends events, and goes on behind the last cursor after a new connection', async () => {
  const sequences = [];
  let cursor = null;
  for (const wanted of [1, 3]) {
    const client = socket(session);
    for await (const { data } of client.iterate({ query: EVENTS, variables: { id: organization, after: cursor } })) {
      sequences.push(data.organizationEvents.node.sequence);
      cursor = data.organizationEvents.cursor;
      if (sequences.length >= wanted) break;
    }
    await client.dispose();
  }
  assert.deepEqual(sequences, [1, 2, 3]);
});

test('a credential that is not valid opens no socket', async () => {
  const client = socket('ols_nonsense');
  await assert.rejects(client.iterate({ query: '{ viewer { user { email } } }' }).next(), (closed) => closed.code === 4403);
});

test('events come as server-sent events too, and go on behind the last cursor', async () => {
  const client = createStream({ url: `${service.url}/graphql`, headers: { authorization: `Bearer ${session}` }, retryAttempts: 0 });
  const sequences = [];
  let cursor = null;
  for (const wanted of [2, 3]) {
    for await (const { data } of client.iterate({ query: EVENTS, variables: { id: organization, after: cursor } })) {
      sequences.push(data.organizationEvents.node.sequence);
      cursor = data.organizationEvents.cursor;
      if (sequences.length >= wanted) break;
    }
  }
  assert.deepEqual(sequences, [1, 2, 3]);
  const query = await client.iterate({ query: '{ viewer { user { email } } }' }).next();
  assert.deepEqual(query.value, { data: { viewer: { user: { email: 'ada@example.com' } } } });
  client.dispose();
});

test('a stream that broke goes on with Last-Event-ID', async () => {
  const read = async (headers) => {
    const response = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${session}`, ...headers },
      body: JSON.stringify({ query: EVENTS, variables: { id: organization } }),
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('\n\n')) text += (await reader.read()).value;
    await reader.cancel();
    return { id: text.match(/^id: ?(.+)$/m)[1], sequence: Number(text.match(/"sequence":(\d+)/)[1]) };
  };
  const first = await read({});
  assert.equal(first.sequence, 1);
  assert.equal((await read({ 'last-event-id': first.id })).sequence, 2);
});
