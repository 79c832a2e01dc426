// urql with its normalized cache, against the service: what an application built with it does all day.

import assert from 'node:assert/strict';
import { after, afterEach, before, mock, test } from 'node:test';

import { Client, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { persistedExchange } from '@urql/exchange-persisted';
import { introspectionFromSchema, isObjectType } from 'graphql';
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';

import { schema } from '../operations.js';
import { makeOrganization, startService } from '../service.js';
import { follow, inviteAndBeTold, recorder } from './seen.js';

const ORGANIZATION = gql`query ($id: ID!) { organization(id: $id) { id name description } }`;
const MEMBERS = gql`query ($id: ID!, $first: Int, $after: String) {
  organization(id: $id) {
    id
    members(first: $first, after: $after, orderBy: { field: EMAIL }) {
      edges { cursor node { id status user { id email } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;
const RENAME = gql`mutation ($input: UpdateOrganizationInput!) {
  updateOrganization(input: $input) { organization { id name } cursor userErrors { code message field } }
}`;
const DEACTIVATE = gql`mutation ($input: DeactivateMemberInput!) {
  deactivateMember(input: $input) { member { id status } userErrors { code message field } }
}`;
const CHANGES = gql`subscription ($id: ID!) { organizationChanges(organizationId: $id) { cursor areas } }`;
const LAST = gql`query ($id: ID!) { organization(id: $id) { id events(last: 1) { nodes { id sequence } } } }`;
const EVENTS = gql`subscription ($id: ID!, $after: String) {
  organizationEvents(organizationId: $id, after: $after) { cursor node { id sequence type } }
}`;

let service;
let organization;

before(async () => {
  service = await startService({});
  const guests = ['bob', 'cleo', 'dora', 'eve'].map((name) => `${name}@example.com`);
  organization = await makeOrganization(service, 'ada@example.com', 'WORKSPACE', guests);
});

after(() => service.stop());

/** Objects have an id; payloads, pages and values stand where they were found. */
const keyless = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !type.getFields().id);

const cache = () => cacheExchange({
  schema: introspectionFromSchema(schema),
  keys: Object.fromEntries(keyless.map(({ name }) => [name, () => null])),
  resolvers: { Organization: { members: relayPagination() } },
  updates: {
    Subscription: {
      organizationChanges: (_result, { organizationId: id }, store) => store.invalidate({ __typename: 'Organization', id }, 'invitations'),
    },
  },
});

/** A client of this person with a cache of its own; it also has what it sent and was answered. */
function connect({ session = organization.session, headers, exchanges = [cache(), fetchExchange], ...options } = {}) {
  const { fetch, exchanges: sent } = recorder();
  const fetchOptions = { headers: { authorization: `Bearer ${session}`, ...headers } };
  return Object.assign(new Client({ url: `${service.url}/graphql`, fetch, fetchOptions, exchanges, ...options }), { sent });
}

/** An exchange that sends subscriptions through a socket. */
function overSocket() {
  const socket = createSocket({
    url: `${service.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${organization.session}` },
  });
  const forwardSubscription = (request) => ({ subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }) });
  return { exchange: subscriptionExchange({ forwardSubscription }), close: () => socket.dispose() };
}

/** The cache warns where it cannot tell objects apart. */
const warned = mock.method(console, 'warn', () => {});

afterEach(() => {
  assert.deepEqual(warned.mock.calls.map((call) => call.arguments), []);
});

test('a mutation that answers with the object changes what other queries show of it', async () => {
  const client = connect();
  const shown = follow(client.query(ORGANIZATION, { id: organization.id }));
  await shown.until((data) => data.organization.name === 'Acme');
  const { data } = await client.mutation(RENAME, { input: { organizationId: organization.id, name: 'Apex' } });
  assert.deepEqual(data.updateOrganization.userErrors, []);
  await shown.until((data) => data.organization.name === 'Apex');
  shown.end();
  assert.deepEqual(client.sent.map(({ method }) => method), ['GET', 'POST'], 'nothing is asked again');
});

test('a member in a list is the member of a mutation', async () => {
  const client = connect();
  const shown = follow(client.query(MEMBERS, { id: organization.id }));
  await shown.until(Boolean);
  const [{ id: memberId }] = organization.members;
  await client.mutation(DEACTIVATE, { input: { organizationId: organization.id, memberId } });
  await shown.until((data) => data.organization.members.edges.some(({ node }) => node.id === memberId && node.status === 'INACTIVE'));
  shown.end();
  assert.equal(client.sent.length, 2);
});

test('pages of a list become one', async () => {
  const client = connect();
  const page = async (after) => (await client.query(MEMBERS, { id: organization.id, first: 2, after })).data.organization.members;
  let members = await page();
  for (const count of [4, 5]) {
    assert.equal(members.pageInfo.hasNextPage, true);
    members = await page(members.pageInfo.endCursor);
    assert.equal(members.edges.length, count);
  }
  assert.equal(members.pageInfo.hasNextPage, false);
  assert.deepEqual(members.edges.map(({ node }) => node.user.email[0]).join(''), 'abcde');
  assert.equal(client.sent.length, 3);
});

test('a document is sent once, and by its hash from then on', async () => {
  const exchanges = () => [cache(), persistedExchange(), fetchExchange];
  const query = gql`query ($id: ID!) { organization(id: $id) { id version } }`;
  const sent = [];
  for (const client of [connect({ exchanges: exchanges() }), connect({ exchanges: exchanges() })]) {
    const { data, error } = await client.query(query, { id: organization.id });
    assert.equal(error, undefined);
    assert.ok(data.organization.version > 0);
    sent.push(...client.sent.map(({ method, body }) => [method, 'query' in body, body.extensions.persistedQuery.sha256Hash.length]));
  }
  assert.deepEqual(sent, [['GET', false, 64], ['GET', true, 64], ['GET', false, 64]]);
});

test('queries go by GET or POST, mutations by POST', async () => {
  const client = connect();
  const again = { requestPolicy: 'network-only' };
  const variables = { id: organization.id };
  await client.query(ORGANIZATION, variables, again);
  await client.query(ORGANIZATION, variables, { ...again, preferGetMethod: false });
  await client.mutation(RENAME, { input: { organizationId: organization.id, name: 'Apex' } });
  assert.deepEqual(client.sent.map(({ method }) => method), ['GET', 'POST', 'POST']);
  assert.ok(client.sent.every(({ type }) => type === 'application/graphql-response+json'));
});

// What urql asks for where it asks for anything.
const ANY = 'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed';

for (const accept of [undefined, ANY]) {
  const way = accept ? 'both accept the same' : 'each accepts its own';
  test(`a query is answered as JSON and a subscription as a stream of events, where ${way}`, async () => {
    const client = connect({ fetchSubscriptions: true, headers: accept && { accept } });
    const { data: { organization: { events: { nodes: [last] } } } } = await client.query(LAST, { id: organization.id });
    // It reads all that there is: urql trips over its own feet where a stream is given up in the middle of what came.
    const events = follow(client.subscription(EVENTS, { id: organization.id }));
    const results = await events.until((data) => data.organizationEvents.node.sequence === last.sequence);
    events.end();
    const sequences = results.map(({ data }) => data.organizationEvents.node.sequence);
    assert.deepEqual(sequences, Array.from({ length: last.sequence }, (_, place) => place + 1));
    const [query, subscription] = client.sent;
    assert.deepEqual([query.accept, subscription.accept], [ANY, accept ?? 'text/event-stream, multipart/mixed']);
    assert.deepEqual([query.type, subscription.type], ['application/graphql-response+json', 'text/event-stream']);
  });
}

test('what must not stand in an address is answered by POST only', async () => {
  const client = connect();
  const query = gql`query ($key: String!) { verifyApiKey(key: $key) { outcome } }`;
  const { error } = await client.query(query, { key: 'olk_s_nonsense' });
  assert.deepEqual(error.graphQLErrors.map(({ extensions }) => extensions.code), ['BAD_USER_INPUT']);
  const { data } = await client.query(query, { key: 'olk_s_nonsense' }, { preferGetMethod: false });
  assert.equal(data.verifyApiKey.outcome, 'NOT_FOUND');
});

test('a refusal of a rule is data', async () => {
  const client = connect();
  const { data, error } = await client.mutation(RENAME, { input: { organizationId: organization.id, name: '' } });
  assert.equal(error, undefined);
  assert.deepEqual(data.updateOrganization.userErrors.map(({ code, field }) => [code, field]), [['INVALID_INPUT', ['input', 'name']]]);
  assert.equal(data.updateOrganization.organization, null);
});

test('a guarded field is null with an error at its path, and its siblings are there', async () => {
  const client = connect({ session: organization.members[1].session });
  const query = gql`query ($id: ID!) { organization(id: $id) { id name members { totalCount } viewerRole { id key } } }`;
  const { data, error } = await client.query(query, { id: organization.id });
  assert.deepEqual({ ...data.organization, members: data.organization.members }, { ...data.organization, name: 'Apex', members: null });
  assert.equal(data.organization.viewerRole.key, 'MEMBER');
  const [{ path, extensions }] = error.graphQLErrors;
  assert.deepEqual([path, extensions], [['organization', 'members'], { code: 'PERMISSION_REQUIRED' }]);
});

test('events come over a socket', async () => {
  const { exchange, close } = overSocket();
  const client = connect({ exchanges: [cache(), exchange, fetchExchange] });
  const events = follow(client.subscription(EVENTS, { id: organization.id }));
  const results = await events.until((data) => data.organizationEvents.node.sequence === 3);
  assert.deepEqual(results.slice(0, 3).map(({ data }) => data.organizationEvents.node.sequence), [1, 2, 3]);
  events.end();
  await close();
  assert.deepEqual(client.sent, []);
});

/** The client itself reads streams of events. */
const overEvents = () => ({ exchange: null, close: () => {} });

for (const [way, transport] of [['a socket', overSocket], ['server-sent events', overEvents]]) {
  test(`a list is asked for again when ${way} tells of a change`, async () => {
    const { exchange, close } = transport();
    const client = connect({ exchanges: [cache(), exchange, fetchExchange].filter(Boolean), fetchSubscriptions: exchange === null });
    const query = gql`query ($id: ID!) { organization(id: $id) { id invitations { nodes { id email } } } }`;
    const list = follow(client.query(query, { id: organization.id }));
    await list.until(Boolean);
    const changes = follow(client.subscription(CHANGES, { id: organization.id }));
    const email = await inviteAndBeTold(service, organization, changes, transport.name);
    await list.until((data) => data.organization.invitations?.nodes.some((invitation) => invitation.email === email));
    changes.end();
    list.end();
    await close();
    });
}
