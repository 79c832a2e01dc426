// The client preset of GraphQL Code Generator makes types of the schema and what clients send, and a program compiles
// against them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { generate } from '@graphql-codegen/cli';

import { root, served } from '../operations.js';

const here = import.meta.dirname;
let folder;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'orgledger-codegen-'));
  await symlink(path.join(here, '../node_modules'), path.join(folder, 'node_modules'));
  await copyFile(path.join(here, 'program.ts'), path.join(folder, 'program.ts'));
  await writeFile(path.join(folder, 'operations.graphql'), served);
});

after(() => rm(folder, { recursive: true }));

/** Runs the compiler of TypeScript; resolves to whether it failed and what it says. */
const compile = (...parameters) => new Promise((resolve) => {
  const compiler = path.join(here, '../node_modules/.bin/tsc');
  execFile(compiler, parameters, { cwd: folder, timeout: 60_000 }, (error, stdout, stderr) => resolve([Boolean(error), stdout + stderr]));
});

test('a program compiles against the types that are made for what clients send', async () => {
  await generate({
    schema: path.join(root, 'schema.graphql'),
    documents: [path.join(folder, 'operations.graphql'), path.join(folder, 'program.ts')],
    cwd: folder,
    silent: true,
    generates: {
      'generated/': {
        preset: 'client',
        config: { strictScalars: true, scalars: { DateTime: 'string', JSON: 'unknown' }, useTypeImports: true, emitLegacyCommonJSImports: false },
      },
    },
  });
  const [failed, output] = await compile('--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', 'program.ts');
  assert.equal(failed, false, output);
});
