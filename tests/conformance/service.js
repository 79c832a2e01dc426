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

/** Signs somebody in by the letter that the service keeps; resolves to the token of their session. */
export async function signIn(email, service) {
  await service.ask(`mutation { requestSignIn(input: { email: "${email}" }) { userErrors { code } } }`);
  const token = await letter(service, email, /sign-in\?token=([A-Za-z0-9]+)/);
  const { body } = await service.ask(`mutation { completeSignIn(input: { token: "${token}" }) { sessionToken } }`);
  return body.data.completeSignIn.sessionToken;
}

/** Waits for a letter to this address with such a link; resolves to the token in it. */
async function letter(service, email, link) {
  const folder = path.join(service.data, 'mail');
  for (;;) {
    const letters = await readdir(folder).catch(() => []);
    const texts = await Promise.all(letters.filter((name) => name.endsWith('.eml')).map((name) => readFile(path.join(folder, name), 'utf8')));
    const token = texts.filter((text) => text.includes(email)).map((text) => text.match(link)?.[1]).find(Boolean);
    if (token) return token;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Makes an organization of this kind with members of these addresses beside its owner; resolves to its id and their sessions. */
export async function makeOrganization(service, owner, kind, emails = []) {
  const session = await signIn(owner, service);
  const run = async (token, mutation) => {
    const { body } = await service.ask(`mutation { ${mutation} }`, token);
    const [payload] = Object.values(body.data ?? {});
    if (body.errors ?? payload.userErrors.length) throw new Error(JSON.stringify(body));
    return payload;
  };
  const made = await run(session, `createOrganization(input: { name: "Acme", kind: ${kind} }) { organization { id } userErrors { code } }`);
  const { id } = made.organization;
  const members = await Promise.all(emails.map(async (email) => {
    await run(session, `inviteMember(input: { organizationId: "${id}", email: "${email}" }) { userErrors { code } }`);
    const token = await letter(service, email, /\/invitations\/([A-Za-z0-9]+)/);
    const guest = await signIn(email, service);
    const { member } = await run(guest, `acceptInvitation(input: { token: "${token}" }) { member { id } userErrors { code } }`);
    return { session: guest, id: member.id };
  }));
  return { id, session, members };
}

/** The memory of a process in MB: what it has now, and the most it ever had. */
export async function memory(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))[1]) / 1024;
  return { now: megabytes('VmRSS').toFixed(1), most: megabytes('VmHWM').toFixed(1) };
}

/** Waits so long. */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
