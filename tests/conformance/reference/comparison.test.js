// The server's answers held against graphql-js, the reference implementation: the same documents run and are refused,
// the same fields come back in the same order, and errors stand at the same places.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { buildClientSchema, getIntrospectionQuery, lexicographicSortSchema, parseValue, printSchema } from 'graphql';

import { makeOrganization, startService } from '../service.js';
import { notServed, notYet, schema } from '../operations.js';
import { documents, same, texts } from './documents.js';
import { differences, reference } from './oracle.js';

const RFC3339 = 'https://datatracker.ietf.org/doc/html/rfc3339';
const RUNS = 'graphql-js refuses it, the server runs it';
/** Differences that are known, each with its reason. What does not differ any more has no place here. */
const KNOWN = {
  // The engine never looks at where variables stand: their values are checked instead, so that none reaches a field wrongly.
  'a variable in a place of another type': RUNS,
  'a variable that may be null in a place that may not': RUNS,
  'a variable for @skip that may be null': RUNS,
  'a variable in a list that is declared for another type': RUNS,
  // The engine compares fields of one key only side by side: not across fragments, and neither what is in them nor its type.
  'one key for a field of another type of value': RUNS,
  'one key for two fields, one of them in a fragment': RUNS,
  'conflicts deep in fragments': RUNS,
  // The engine refuses it when it comes to the field; the object around the field becomes null.
  'a number beyond 32 bits': RUNS,
  'a literal beyond 32 bits': RUNS,
  'a time that is none': RUNS,
  'a literal of a time that is none': RUNS,
  // The engine is lenient: the value is one of the enum, and of two equal fields the last one counts.
  'text for an enum': RUNS,
  'a field of an input twice': RUNS,
  // Nothing is to be seen of a subscription that was not opened; the engine says so by null and the error.
  'a subscription that may not be opened': RUNS,
  // Newer specifications forbid it: which field it is may not depend on a variable.
  'a subscription with a field that is skipped': 'graphql-js runs it, the server refuses it',
  // JavaScript cannot tell 2.0 from 2; the server takes whole numbers only.
  'a whole number with a fraction of zero': 'graphql-js runs it, the server refuses it',
  // The engine says what a schema is; ours has no description of its own.
  'the description of the schema': 'data: graphql-js {"__schema":{"description":null}}, the server {"__schema":{"description":'
    + '"A GraphQL Schema defines the capabilities of a GraphQL server. It exposes all available types and directives on the server,'
    + ' as well as the entry points for query, mutation, and subscription operations."}}',
  // The engine's parser knows escapes of one character of 16 bits only, and in a block of text none.
  'text beyond 16 bits, as one escape': 'graphql-js reads "😀", the server "BAD_USER_INPUT"',
  'text beyond 16 bits, as a pair of escapes': 'graphql-js reads "😀", the server "BAD_USER_INPUT"',
  'quotes in a block of text': String.raw`graphql-js reads "one \"\"\" two", the server "one \\\"\"\" two"`,
  // The printed schema leaves it out.
  'where a scalar is specified': `data: graphql-js {"__type":{"specifiedByURL":null}}, the server {"__type":{"specifiedByURL":"${RFC3339}"}}`,
};

const known = (name) => (KNOWN[name] ? [KNOWN[name]] : []);

let service;
const callers = {};
const made = { unknown: 'mem_none' };

/** The first answer in a stream of events. */
async function firstEvent(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('\n\n')) text += (await reader.read()).value;
  await reader.cancel();
  return JSON.parse(text.match(/^data: ?(.+)$/m)[1]);
}

/** Sends a request, with variables as text where JSON has more than one way to write them; resolves to the first answer. */
async function send({ query, variables, operationName, as = 'owner' }, text) {
  const response = await fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, text/event-stream',
      ...(callers[as] && { authorization: `Bearer ${callers[as]}` }),
    },
    body: text ? `{"query":${JSON.stringify(query)},"variables":${text}}` : JSON.stringify({ query, variables, operationName }),
  });
  const stream = response.headers.get('content-type') === 'text/event-stream';
  const answer = stream ? await firstEvent(response.body) : await response.json();
  assert.equal(response.status, Object.hasOwn(answer, 'data') ? 200 : 400);
  return answer;
}

before(async () => {
  service = await startService({});
  const { id, session, members: [member] } = await makeOrganization(service, 'ada@example.com', 'WORKSPACE', ['bob@example.com']);
  Object.assign(callers, { owner: session, member: member.session });
  const { data } = await send({ query: 'query ($id: ID!) { organization(id: $id) { roles { id } } }', variables: { id } });
  Object.assign(made, { id, member: member.id, role: data.organization.roles[1].id });
});

after(() => service.stop());

const filled = (value) => {
  if (typeof value === 'string') return made[value] ?? value;
  if (Array.isArray(value)) return value.map(filled);
  return value;
};

for (const [name, document] of Object.entries(documents)) {
  test(name, async () => {
    const declared = Object.keys(made).filter((key) => document.query.includes(`$${key}:`));
    const variables = document.variables ?? Object.fromEntries(declared.map((key) => [key, key]));
    const request = { ...document, variables: Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, filled(value)])) };
    const text = document.body?.(made.id);
    if (text) request.variables = JSON.parse(text);
    const ours = await send(request, text);
    const theirs = await reference(request, ours);
    assert.equal(!Object.hasOwn(theirs, 'data'), document.refused ?? false, `the list is wrong: ${theirs.errors}`);
    assert.deepEqual(differences(ours, theirs), known(name));
  });
}

test('an answer that is not what graphql-js would give is found', async () => {
  const request = { query: '{ organization(id: "org_1") { name members { totalCount } id } }' };
  const error = { message: 'No.', path: ['organization', 'members'] };
  const found = async (organization, ...errors) => {
    const answer = { data: { organization }, ...(errors.length > 0 && { errors }) };
    return differences(answer, await reference(request, answer)).length;
  };
  assert.equal(await found({ name: 'A', members: { totalCount: 1 }, id: 'org_1' }), 0);
  assert.equal(await found({ name: 'A', members: null, id: 'org_1' }, error), 0);
  assert.notEqual(await found({ members: { totalCount: 1 }, name: 'A', id: 'org_1' }), 0, 'another order of keys');
  assert.notEqual(await found({ name: 'A', members: null }, error), 0, 'a sibling that is lost');
  assert.notEqual(await found({ name: 'A', id: 'org_1' }, error), 0, 'a field that errs and is left out');
  assert.notEqual(await found(null, error), 0, 'an object that an error takes away');
  assert.notEqual(await found({ name: 'A', members: { totalCount: null }, id: 'org_1' }), 0, 'null where it may not be');
  assert.notEqual(await found({ name: 'A', members: { totalCount: 1 }, id: 'org_1', kind: 'TEAM' }), 0, 'what was not asked for');
  assert.notEqual(await found({ name: 7, members: { totalCount: '1' }, id: 'org_1' }), 0, 'another type of value');
});

test('what is known to differ is compared', () => {
  assert.deepEqual(Object.keys(KNOWN).filter((name) => !documents[name] && !texts[name]), []);
});

test('graphql-js refuses the operations that are not served yet, and no other', () => {
  assert.deepEqual(notServed, notYet);
});

test('introspection tells what the file of the schema says', async () => {
  const { data } = await send({ query: getIntrospectionQuery({ specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true }) });
  const lines = (of) => printSchema(lexicographicSortSchema(of)).split('\n');
  const [told, written] = [lines(buildClientSchema(data)), lines(schema)];
  assert.deepEqual(told.filter((line) => !written.includes(line)), [`scalar DateTime @specifiedBy(url: "${RFC3339}")`]);
  assert.deepEqual(written.filter((line) => !told.includes(line)), ['scalar DateTime']);
});

for (const [name, literal] of Object.entries(texts)) {
  test(`${name} is read as graphql-js reads it`, async () => {
    const query = `mutation ($id: ID!) {
      updateOrganization(input: { organizationId: $id, description: ${literal} }) { organization { description } }
    }`;
    const { data, errors } = await send({ query, variables: { id: made.id } });
    const [ours, theirs] = [data?.updateOrganization.organization.description ?? errors[0].extensions.code, parseValue(literal).value];
    const found = ours === theirs ? [] : [`graphql-js reads ${JSON.stringify(theirs)}, the server ${JSON.stringify(ours)}`];
    assert.deepEqual(found, known(name));
  });
}

for (const [name, ways] of Object.entries(same)) {
  test(`${name}: the answer is the same`, async () => {
    const types = { id: 'ID!', none: 'String', direction: 'OrderDirection' };
    const [one, other] = await Promise.all(ways.map((fields) => {
      const used = Object.keys(types).filter((variable) => fields.includes(`$${variable}`));
      const declared = used.map((variable) => `$${variable}: ${types[variable]}`).join(', ');
      return send({ query: `query ${declared && `(${declared})`} { ${fields} }`, variables: { id: made.id } });
    }));
    assert.ok(one.data && !one.errors, JSON.stringify(one));
    assert.deepEqual(one.data, other.data);
  });
}
