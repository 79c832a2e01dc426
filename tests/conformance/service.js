// The built service on loopback, with data of its own: `ORGLEDGER_BIN` names the program, else it is where Cargo puts it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const root = path.resolve(import.meta.dirname, '../..');
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target');
const program = process.env.ORGLEDGER_BIN ?? path.join(target, 'debug', 'orgledger');

/** Starts the service with these variables on a free port and waits until it listens. */
export async function startService(variables) {
  const data = await mkdtemp(path.join(tmpdir(), 'orgledger-conformance-'));
  const child = spawn(program, ['serve', '--listen', '127.0.0.1:0', '--data-dir', data], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let url;
  for await (const line of createInterface({ input: child.stdout })) {
    url = line.match(/listens on (http\S+)/)?.[1];
    if (url) break;
  }
  if (!url) throw new Error(`${program} did not start`);
  child.stdout.resume();
  return {
    url,
    /** The folder of its data; letters are files in `mail`. */
    data,
    /** Posts a document; resolves to the status and the body. */
    ask: async (query, credential) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(credential && { authorization: `Bearer ${credential}` }) },
        body: JSON.stringify({ query }),
      });
      return { status: response.status, body: await response.json() };
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      await rm(data, { recursive: true, force: true });
    },
  };
}
