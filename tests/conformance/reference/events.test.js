// The catalogue of events, held by a validator of JSON schemas: every sample that the repository keeps, and what the API
// tells of a ledger, is what its schema says.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Ajv2020 } from 'ajv/dist/2020.js';

import { makeOrganization, startService } from '../service.js';

const samples = path.resolve(import.meta.dirname, '../../fixtures/events');

let service;
let types;

/** The validator of a type; the formats of numbers are hints. */
function validator({ schema }) {
  return new Ajv2020({ strict: true, validateFormats: false, allErrors: true, allowUnionTypes: true }).compile(schema);
}

before(async () => {
  service = await startService({});
  const { body } = await service.ask('{ eventTypes { type version description schema } }');
  types = new Map(body.data.eventTypes.map((entry) => [`${entry.type}.v${entry.version}`, entry]));
});

after(() => service.stop());

test('every sample is what its schema says, and a damaged one is not', async () => {
  const names = await readdir(samples);
  assert.equal(names.length, types.size);
  for (const name of names) {
    const valid = validator(types.get(name.replace(/\.json$/, '')));
    const sample = JSON.parse(await readFile(path.join(samples, name), 'utf8'));
    assert.ok(valid(sample), `${name}: ${JSON.stringify(valid.errors)}`);
    for (const field of valid.schema.required ?? []) {
      const damaged = { ...sample, [field]: { wrong: true } };
      assert.ok(!valid(damaged), `${name} with a wrong ${field}`);
      delete damaged[field];
      assert.ok(!valid(damaged), `${name} without ${field}`);
    }
  }
});

test('what the API tells of a ledger is what the catalogue says', async () => {
  const { id, session } = await makeOrganization(service, 'ada@example.com', 'TEAM');
  const key = `mutation { createApiKey(input: { organizationId: "${id}", name: "Key", type: AI_AGENT }) { userErrors { code } } }`;
  const rename = `mutation { updateOrganization(input: { organizationId: "${id}", name: "Two" }) { userErrors { code } } }`;
  for (const mutation of [key, rename]) await service.ask(mutation, session);
  const { body } = await service.ask(`{ organization(id: "${id}") { events { nodes { type version data } } } }`, session);
  const events = body.data.organization.events.nodes;
  assert.equal(events.length, 4);
  for (const { type, version, data } of events) {
    const valid = validator(types.get(`${type}.v${version}`));
    assert.ok(valid(data), `${type}: ${JSON.stringify(valid.errors)}`);
  }
});
