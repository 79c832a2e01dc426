// Relay's own compiler accepts the schema and what clients send.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import compiler from 'relay-compiler';

import { fragments, operations, root } from '../operations.js';
import { modules } from './relay.js';

const CONFIGURATION = {
  src: './src',
  schema: './schema.graphql',
  language: 'typescript',
  eagerEsModules: true,
  customScalarTypes: { DateTime: 'string', JSON: 'unknown' },
  featureFlags: { enforce_module_name_prefix_for_non_haste: true },
};

const KINDS = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' };

/** Compiles these modules, each of which has one definition; resolves to what the compiler says and to the artifacts. */
async function compile(definitions) {
  const folder = await mkdtemp(path.join(tmpdir(), 'orgledger-relay-'));
  try {
    await mkdir(path.join(folder, 'src'));
    await copyFile(path.join(root, 'schema.graphql'), path.join(folder, 'schema.graphql'));
    await writeFile(path.join(folder, 'relay.config.json'), JSON.stringify(CONFIGURATION));
    for (const [name, text] of definitions) await writeFile(path.join(folder, 'src', `${name}.ts`), `graphql\`${text}\`;\n`);
    const [failed, output] = await new Promise((resolve) => {
      const done = (error, stdout, stderr) => resolve([Boolean(error), stdout + stderr]);
      execFile(compiler, ['relay.config.json', '--output', 'quiet-with-errors'], { cwd: folder, timeout: 30_000 }, done);
    });
    const artifacts = await readdir(path.join(folder, 'src', '__generated__')).catch(() => []);
    return { failed, output, artifacts: artifacts.map((file) => file.replace('.graphql.ts', '')) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Relay wants an operation to be called after its module and its kind; fragments are called right already. */
const renamed = operations.map(({ node, name, text }) => {
  const called = `${name}${KINDS[node.operation]}`;
  return [name, called, text.replace(new RegExp(`^${node.operation} ${name}\\b`), `${node.operation} ${called}`)];
});

test('Relay compiles what clients send, and the pages of an application', async () => {
  const definitions = [
    ...fragments.map(({ name, text }) => [name, text]),
    ...renamed.map(([module, , text]) => [module, text]),
    ...Object.entries(modules),
  ];
  const { failed, output, artifacts } = await compile(definitions);
  assert.equal(failed, false, output);
  assert.equal(output, '');
  const wanted = [...renamed.map(([, called]) => called), 'MembersListPaginationQuery', 'InvitationsListPaginationQuery', 'MemberCardRefetchQuery'];
  assert.deepEqual(wanted.filter((name) => !artifacts.includes(name)), []);
});

test('Relay refuses a connection that is none', async () => {
  const text = `query WrongQuery { viewer { organizations(first: 1) @connection(key: "Wrong_organizations") { nodes { id } } } }`;
  const { failed, output } = await compile([['Wrong', text]]);
  assert.ok(failed);
  assert.match(output, /edges/);
});
