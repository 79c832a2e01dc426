// The built service on loopback, with data of its own: `ORGLEDGER_BIN` names the program, else it is where Cargo puts it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
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
    pid: child.pid,
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

/** Signs somebody in by the letter that the service keeps. */
export async function signIn(email, at) {
  await at.ask(`mutation { requestSignIn(input: { email: "${email}" }) { userErrors { code } } }`);
  const folder = path.join(at.data, 'mail');
  for (;;) {
    const letters = await readdir(folder).catch(() => []);
    const texts = await Promise.all(letters.filter((name) => name.endsWith('.eml')).map((name) => readFile(path.join(folder, name), 'utf8')));
    const token = texts.find((text) => text.includes(email))?.match(/sign-in\?token=([A-Za-z0-9]+)/)?.[1];
    if (token) {
      const { body } = await at.ask(`mutation { completeSignIn(input: { token: "${token}" }) { sessionToken } }`);
      return body.data.completeSignIn.sessionToken;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The memory of a process in MB: what it has now, and the most it ever had. */
export async function memory(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))[1]) / 1024;
  return { now: megabytes('VmRSS').toFixed(1), most: megabytes('VmHWM').toFixed(1) };
}

/** Waits so long. */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
