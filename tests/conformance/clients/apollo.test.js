// Apollo Client with its normalized cache, against the service: what an application built with it does all day.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, Observable, ServerError, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { print, relayStylePagination } from '@apollo/client/utilities';
import { createClient as createStream } from 'graphql-sse';
import { createClient as createSocket } from 'graphql-ws';
import WebSocket from 'ws';

import { schema } from '../operations.js';
import { makeOrganization, startService } from '../service.js';
import { follow, inviteAndBeTold, recorder } from './seen.js';

const ORGANIZATION = gql`query Organization($id: ID!) { organization(id: $id) { id name description } }`;
const MEMBERS = gql`query Members($id: ID!, $first: Int, $after: String) {
  organization(id: $id) {
    id
    members(first: $first, after: $after, orderBy: { field: EMAIL }) {
      edges { cursor node { id status user { id email } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;
const INVITATIONS = gql`query Invitations($id: ID!) { organization(id: $id) { id invitations { nodes { id email } } } }`;
const RENAME = gql`mutation Rename($input: UpdateOrganizationInput!) {
  updateOrganization(input: $input) { organization { id name } cursor userErrors { code message field } }
}`;
const DEACTIVATE = gql`mutation Deactivate($input: DeactivateMemberInput!) {
  deactivateMember(input: $input) { member { id status } userErrors { code message field } }
}`;
const REMOVE = gql`mutation Remove($input: RemoveMemberInput!) {
  removeMember(input: $input) { removedMemberId userErrors { code message field } }
}`;
const EVENTS = gql`subscription Events($id: ID!, $after: String) {
  organizationEvents(organizationId: $id, after: $after) { cursor node { id sequence type } }
}`;
const CHANGES = gql`subscription Changes($id: ID!) { organizationChanges(organizationId: $id) { cursor areas } }`;

let service;
let organization;

before(async () => {
  service = await startService({});
  const guests = ['bob', 'cleo', 'dora', 'eve'].map((name) => `${name}@example.com`);
  organization = await makeOrganization(service, 'ada@example.com', 'WORKSPACE', guests);
});

after(() => service.stop());

const cache = () => new InMemoryCache({
  possibleTypes: { Node: schema.getPossibleTypes(schema.getType('Node')).map(({ name }) => name) },
  typePolicies: { Organization: { fields: { members: relayStylePagination(['search', 'filter', 'orderBy', 'asOf']) } } },
});

/** A client of this person with a cache of its own; it also has what it sent and was answered. */
function connect({ session = organization.session, links = [], subscriptions, ...http } = {}) {
  const { fetch, exchanges: sent } = recorder();
  const headers = { authorization: `Bearer ${session}` };
  const requests = ApolloLink.from([...links, new HttpLink({ uri: `${service.url}/graphql`, fetch, headers, ...http })]);
  const link = subscriptions ? ApolloLink.split(({ operationType }) => operationType === 'subscription', subscriptions, requests) : requests;
  return Object.assign(new ApolloClient({ link, cache: cache() }), { sent });
}

/** A link that sends what it is given through a socket. */
function overSocket() {
  const socket = createSocket({
    url: `${service.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${organization.session}` },
  });
  return { link: new GraphQLWsLink(socket), close: () => socket.dispose() };
}

/** A link that sends what it is given by graphql-sse; Apollo's own way is another one. */
function overEvents() {
  const stream = createStream({ url: `${service.url}/graphql`, headers: { authorization: `Bearer ${organization.session}` } });
  const link = new ApolloLink(({ operationName, query, variables, extensions }) => new Observable((observer) => (
    stream.subscribe({ operationName, query: print(query), variables, extensions }, observer)
  )));
  return { link, close: () => stream.dispose() };
}

test('a mutation that answers with the object changes what other queries show of it', async () => {
  const client = connect();
  const shown = follow(client.watchQuery({ query: ORGANIZATION, variables: { id: organization.id } }));
  await shown.until((data) => data.organization.name === 'Acme');
  const { data } = await client.mutate({ mutation: RENAME, variables: { input: { organizationId: organization.id, name: 'Apex' } } });
  assert.deepEqual(data.updateOrganization.userErrors, []);
  await shown.until((data) => data.organization.name === 'Apex');
  shown.end();
  assert.equal(client.sent.length, 2, 'nothing is asked again');
});

test('a member in a list is the member of a mutation, until it is removed', async () => {
  const client = connect();
  const shown = follow(client.watchQuery({ query: MEMBERS, variables: { id: organization.id } }));
  const statuses = (data) => data.organization.members.edges.map(({ node }) => node.status);
  await shown.until((data) => statuses(data).length === 5);
  const variables = { input: { organizationId: organization.id, memberId: organization.members[0].id } };
  await client.mutate({ mutation: DEACTIVATE, variables });
  await shown.until((data) => statuses(data).includes('INACTIVE'));
  await client.mutate({
    mutation: REMOVE,
    variables,
    update: (store, { data }) => store.evict({ id: store.identify({ __typename: 'Member', id: data.removeMember.removedMemberId }) }),
  });
  await shown.until((data) => statuses(data).length === 4);
  shown.end();
  assert.equal(client.sent.length, 3, 'nothing is asked again');
});

test('pages of a list become one', async () => {
  const client = connect();
  const query = client.watchQuery({ query: MEMBERS, variables: { id: organization.id, first: 1 } });
  const shown = follow(query);
  const { length } = 'acde';
  for (let count = 1; count <= length; count += 1) {
    await shown.until((data) => data.organization.members.edges.length === count);
    const { endCursor: after, hasNextPage } = query.getCurrentResult().data.organization.members.pageInfo;
    assert.equal(hasNextPage, count < length);
    if (hasNextPage) await query.fetchMore({ variables: { after } });
  }
  shown.end();
  const { edges } = query.getCurrentResult().data.organization.members;
  assert.equal(edges.map(({ node }) => node.user.email[0]).join(''), 'acde');
  assert.equal(client.sent.length, length);
});

test('objects of several types are kept apart, and found again', async () => {
  const client = connect();
  const query = gql`query Nodes($ids: [ID!]!) {
    nodes(ids: $ids) {
      id ... on Node { __typename }
      ... on Organization { name kind } ... on Member { status user { id email } } ... on Role { key level }
    }
  }`;
  const ROLES = gql`query Roles($id: ID!) { organization(id: $id) { id roles { id key } } }`;
  const roles = await client.query({ query: ROLES, variables: { id: organization.id } });
  const [{ id: role, key }] = roles.data.organization.roles;
  const variables = { ids: [role, organization.members[1].id, organization.id, 'org_none'] };
  const { data } = await client.query({ query, variables });
  assert.deepEqual(data.nodes.map((node) => node && [node.__typename, node.key ?? node.user?.email ?? node.kind]), [
    ['Role', key], ['Member', 'cleo@example.com'], ['Organization', 'WORKSPACE'], null,
  ]);
  assert.deepEqual((await client.query({ query, variables, fetchPolicy: 'cache-only' })).data, data);
});

test('the past of a list does not take the place of its present', async () => {
  const client = connect();
  const query = gql`query Past($id: ID!, $at: DateTime) {
    organization(id: $id) {
      id
      members(asOf: $at, orderBy: { field: EMAIL }, filter: { statuses: [ACTIVE, INACTIVE] }) {
        edges { node { id status role { id key } user { id email } } }
      }
    }
  }`;
  const members = (answer) => answer.data.organization.members.edges.map(({ node }) => `${node.user.email[0]} ${node.status}`).join();
  const [, { id: memberId }] = organization.members;
  await client.query({ query, variables: { id: organization.id } });
  const at = new Date().toISOString();
  await client.mutate({ mutation: DEACTIVATE, variables: { input: { organizationId: organization.id, memberId } } });
  const past = await client.query({ query, variables: { id: organization.id, at } });
  const present = await client.query({ query, variables: { id: organization.id }, fetchPolicy: 'cache-only' });
  assert.equal(members(past), 'a ACTIVE,c ACTIVE,d ACTIVE,e ACTIVE');
  assert.equal(members(present), 'a ACTIVE,c INACTIVE,d ACTIVE,e ACTIVE');
});

for (const useGETForHashedQueries of [false, true]) {
  test(`a document is sent once, and by its hash from then on, ${useGETForHashedQueries ? 'by GET' : 'by POST'}`, async () => {
    // Each turn has a document of its own, which nobody has sent before.
    const query = gql`query ${useGETForHashedQueries ? 'ByGet' : 'ByPost'}($id: ID!) { organization(id: $id) { id version } }`;
    const sha256 = (text) => createHash('sha256').update(text).digest('hex');
    const sent = [];
    for (let turn = 0; turn < 2; turn += 1) {
      const client = connect({ links: [new PersistedQueryLink({ sha256, useGETForHashedQueries })] });
      const { data } = await client.query({ query, variables: { id: organization.id } });
      assert.ok(data.organization.version > 0);
      sent.push(...client.sent.map(({ method, body }) => [method, 'query' in body, body.extensions.persistedQuery.sha256Hash.length]));
    }
    const by = useGETForHashedQueries ? 'GET' : 'POST';
    assert.deepEqual(sent, [[by, false, 64], ['POST', true, 64], [by, false, 64]]);
  });
}

test('queries go by GET where that is wanted, mutations by POST', async () => {
  const client = connect({ useGETForQueries: true });
  await client.query({ query: ORGANIZATION, variables: { id: organization.id } });
  await client.mutate({ mutation: RENAME, variables: { input: { organizationId: organization.id, name: 'Apex' } } });
  assert.deepEqual(client.sent.map(({ method }) => method), ['GET', 'POST']);
  assert.ok(client.sent.every(({ type }) => type === 'application/graphql-response+json'));
});

test('a guarded field is null with an error at its path, and its siblings are there', async () => {
  const client = connect({ session: organization.members[2].session });
  const query = gql`query Guarded($id: ID!) { organization(id: $id) { id name members { totalCount } viewerRole { id key } } }`;
  const variables = { id: organization.id };
  const { data, error } = await client.query({ query, variables, errorPolicy: 'all' });
  const { name, members, viewerRole } = data.organization;
  assert.deepEqual([name, members, viewerRole.key], ['Apex', null, 'MEMBER']);
  assert.ok(CombinedGraphQLErrors.is(error));
  assert.deepEqual(error.errors.map(({ path, extensions }) => [path, extensions]), [[['organization', 'members'], { code: 'PERMISSION_REQUIRED' }]]);
  await assert.rejects(client.query({ query, variables, fetchPolicy: 'network-only' }), CombinedGraphQLErrors.is);
});

test('a document that may not run ends with its errors', async () => {
  const client = connect();
  const query = gql`query Size { viewer { shoeSize } }`;
  await assert.rejects(client.query({ query }), (error) => CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === 'BAD_USER_INPUT');
});

test('a credential that is not valid is told by its status', async () => {
  const client = connect({ session: 'ols_nonsense' });
  const asked = client.query({ query: ORGANIZATION, variables: { id: organization.id } });
  await assert.rejects(asked, (error) => ServerError.is(error) && error.statusCode === 401);
});

for (const [way, transport] of [['a socket', overSocket], ['server-sent events', overEvents]]) {
  test(`events come over ${way}`, async () => {
    const { link, close } = transport();
    const client = connect({ subscriptions: link });
    const events = follow(client.subscribe({ query: EVENTS, variables: { id: organization.id } }));
    const results = await events.until((data) => data.organizationEvents.node.sequence === 3);
    assert.deepEqual(results.slice(0, 3).map(({ data }) => data.organizationEvents.node.sequence), [1, 2, 3]);
    events.end();
    await close();
  });

  test(`a list is asked for again when ${way} tells of a change`, async () => {
    const { link, close } = transport();
    const client = connect({ subscriptions: link });
    const list = follow(client.watchQuery({ query: INVITATIONS, variables: { id: organization.id } }));
    await list.until(Boolean);
    const changes = follow(client.subscribe({ query: CHANGES, variables: { id: organization.id } }));
    const email = await inviteAndBeTold(service, organization, changes, transport.name);
    await client.refetchQueries({ include: ['Invitations'] });
    await list.until((data) => data.organization.invitations.nodes.some((invitation) => invitation.email === email));
    changes.end();
    list.end();
    await close();
  });
}

test('what may not run is refused by its status, where only a stream of events is accepted too', async () => {
  const stream = createStream({ url: `${service.url}/graphql`, retryAttempts: 0 });
  for (const query of ['{', 'subscription ($id: ID!) { organizationChanges(organizationId: $id) { cursor } }']) {
    await assert.rejects(stream.iterate({ query }).next(), (error) => error.response?.status === 400);
  }
  stream.dispose();
});
