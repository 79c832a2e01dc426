// GraphQL over HTTP, WebSocket and server-sent events, held by the software that others test their servers with: the
// audits of graphql-http, and the clients graphql-ws and graphql-sse as they come.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { serverAudits } from 'graphql-http';
import { createClient as createStream } from 'graphql-sse';
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';

import { signIn as signInAt, startService } from '../service.js';

let service;
let session;
let organization;

const EVENTS = `subscription ($id: ID!, $after: String) {
  organizationEvents(organizationId: $id, after: $after) { cursor node { sequence type } }
}`;

const signIn = (email, at = service) => signInAt(email, at);

before(async () => {
  service = await startService({ ORGLEDGER_CORS_ORIGINS: 'https://app.example.com' });
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

/** Posts a request as it is given; resolves to the status and the body. */
async function post(url, request, headers = {}) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(request) };
  const response = await fetch(`${url}/graphql`, options);
  return { status: response.status, body: await response.json() };
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

test('a document is sent once and found by its hash afterwards', async () => {
  const query = '{ viewer { user { name } } }';
  const extensions = { persistedQuery: { version: 1, sha256Hash: sha256(query) } };
  const code = ({ body }) => body.errors?.[0].extensions.code;
  assert.equal(code(await post(service.url, { extensions })), 'PERSISTED_QUERY_NOT_FOUND');
  assert.equal(code(await post(service.url, { query: '{ viewer { user { email } } }', extensions })), 'BAD_USER_INPUT');
  for (const request of [{ query, extensions }, { extensions }]) {
    assert.deepEqual((await post(service.url, request)).body.data, { viewer: null });
  }
});

test('only trusted documents are run where only they are to be', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'orgledger-documents-'));
  const query = 'query Viewer { viewer { user { name } } }';
  const file = path.join(folder, 'documents.json');
  await writeFile(file, JSON.stringify({ viewer: query }));
  const strict = await startService({ ORGLEDGER_TRUSTED_DOCUMENTS: 'required', ORGLEDGER_TRUSTED_DOCUMENTS_FILE: file });
  try {
    const byHash = { extensions: { persistedQuery: { version: 1, sha256Hash: sha256(query) } } };
    for (const request of [{ documentId: 'viewer' }, { query }, byHash]) {
      assert.deepEqual((await post(strict.url, request)).body.data, { viewer: null });
    }
    for (const request of [{ query: '{ viewer { user { name } } }' }, { documentId: 'nothing' }]) {
      assert.equal((await post(strict.url, request)).body.errors[0].extensions.code, 'DOCUMENT_NOT_TRUSTED');
    }
  } finally {
    await strict.stop();
    await rm(folder, { recursive: true });
  }
});

test('pages of the listed origins may ask, and open sockets; pages of others may not', async () => {
  const asked = async (origin) => {
    const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization, content-type' };
    const response = await fetch(`${service.url}/graphql`, { method: 'OPTIONS', headers });
    return response.headers.get('access-control-allow-origin');
  };
  assert.equal(await asked('https://app.example.com'), 'https://app.example.com');
  assert.equal(await asked('https://evil.example.com'), null);
  const opens = (origin) => new Promise((resolve) => {
    const page = new WebSocket(`${service.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { origin });
    page.on('open', () => { page.close(); resolve(true); });
    page.on('error', () => resolve(false));
  });
  assert.deepEqual([await opens('https://app.example.com'), await opens(service.url), await opens('https://evil.example.com')], [true, true, false]);
});

test('the schema is not told where it is not to be', async () => {
  const silent = await startService({ ORGLEDGER_INTROSPECTION: 'false' });
  try {
    const { body } = await post(silent.url, { query: '{ __schema { queryType { name } } }' });
    assert.ok(body.errors ?? body.data.__schema === null, JSON.stringify(body));
  } finally {
    await silent.stop();
  }
});

test('behind a proxy a client is who the proxy was called from', async () => {
  const proxied = await startService({ ORGLEDGER_TRUSTED_PROXIES: '1' });
  try {
    const unknown = { query: '{ verifyApiKey(key: "olk_s_nonsense") { outcome } }' };
    const from = async (address) => (await post(proxied.url, unknown, { 'x-forwarded-for': `203.0.113.9, ${address}` })).body.data.verifyApiKey.outcome;
    for (let wrong = 0; wrong < 30; wrong += 1) assert.equal(await from('192.0.2.1'), 'NOT_FOUND');
    assert.deepEqual([await from('192.0.2.1'), await from('192.0.2.2')], ['RATE_LIMITED', 'NOT_FOUND']);
    // The pages count by the same address.
    const signIn = (address, person) => fetch(`${proxied.url}/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': address },
      body: `email=person${person}@example.com`,
    });
    for (let person = 0; person < 21; person += 1) assert.equal((await signIn('192.0.2.1', person)).status, 200);
    await signIn('192.0.2.2', 21);
    const letters = async () => (await readdir(path.join(proxied.data, 'mail')).catch(() => [])).filter((name) => name.endsWith('.eml')).length;
    while ((await letters()) < 21) await new Promise((resolve) => setTimeout(resolve, 50));
    // Letters go out ten at a time, in the order in which they were asked for: were there 22, the last would be here soon.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await letters(), 21);
  } finally {
    await proxied.stop();
  }
});

test('a service that stops breaks a stream off, so that its reader comes back', async () => {
  const stopped = await startService({});
  const token = await signIn('eva@example.com', stopped);
  const made = await stopped.ask('mutation { createOrganization(input: { name: "Acme", kind: TEAM }) { organization { id } } }', token);
  const id = made.body.data.createOrganization.organization.id;
  const response = await fetch(`${stopped.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: `subscription { organizationChanges(organizationId: "${id}") { cursor } }` }),
  });
  assert.equal(response.status, 200);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const ended = (async () => {
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += value;
    }
  })();
  await stopped.stop();
  assert.ok(!(await ended).includes('complete'));
});
