// The schema and what clients send, linted as their authors would lint them.

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import plugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';

import { root, served } from '../operations.js';

const recommended = (name) => plugin.configs[`flat/${name}`].rules;

const SCHEMA = {
  ...recommended('schema-recommended'),
  ...recommended('schema-relay'),
  // Values, pages and payloads have no identity of their own; objects that have one implement Node.
  '@graphql-eslint/strict-id-in-types': 'off',
  '@graphql-eslint/relay-edge-types': ['error', {
    // Roles, sessions and permissions are few: lists without pages.
    listTypeCanWrapOnlyEdgeType: false,
    // An entry of the audit log is found in its log only.
    shouldImplementNode: false,
  }],
  // A person's organizations and a member's activity are read forward only.
  '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
};

/** The list is exact: what is not complained of any more has no place in it. */
const KNOWN = [
  // The engine prints the definitions of GraphQL's own directives, and no scalar of ours says where it is specified.
  '@graphql-eslint/no-unreachable-types Directive `specifiedBy` is unreachable.',
];

const OPERATIONS = {
  ...recommended('operations-recommended'),
  // What clients send is given to the letter; some of it shows no object again and needs no id.
  '@graphql-eslint/require-selections': 'off',
};

let folder;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'orgledger-eslint-'));
  await copyFile(path.join(root, 'schema.graphql'), path.join(folder, 'schema.graphql'));
  await writeFile(path.join(folder, 'operations.graphql'), served);
});

after(() => rm(folder, { recursive: true }));

/** Lints a text by these rules as if it stood in the file; resolves to the complaints. */
async function lint(file, rules, text) {
  const graphQLConfig = { schema: path.join(folder, 'schema.graphql'), documents: path.join(folder, 'operations.graphql') };
  const eslint = new ESLint({
    cwd: folder,
    overrideConfigFile: true,
    overrideConfig: [{
      files: ['**/*.graphql'],
      plugins: { '@graphql-eslint': plugin },
      languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig } },
      rules,
    }],
  });
  const filePath = path.join(folder, file);
  const [{ messages }] = await eslint.lintText(text ?? await readFile(filePath, 'utf8'), { filePath });
  return messages.map(({ ruleId, message }) => `${ruleId} ${message}`);
}

test('the schema is linted without an error', async () => {
  assert.deepEqual(await lint('schema.graphql', SCHEMA), KNOWN);
  const [wrong] = await lint('schema.graphql', SCHEMA, 'type Query { Name: String }');
  assert.match(wrong, /description|naming/);
});

test('what clients send is linted without an error', async () => {
  assert.deepEqual(await lint('operations.graphql', OPERATIONS), []);
  const [wrong] = await lint('operations.graphql', OPERATIONS, 'query Size { viewer { shoeSize } }');
  assert.match(wrong, /shoeSize/);
});
