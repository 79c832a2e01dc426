// Signing in by the tokens of a certified OpenID Connect provider: while it is up, after it changed its keys, and after
// it went away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

import { AUDIENCE, startProvider } from './provider.js';
import { startService } from '../service.js';

const VIEWER = '{ viewer { user { id email name lastLoginAt } organizations { nodes { kind } } sessions { id } } }';

let provider;
let service;

before(async () => {
  provider = await startProvider();
  service = await startService({ OIDC_ISSUER: provider.issuer, OIDC_AUDIENCE: AUDIENCE });
});

after(async () => {
  await service?.stop();
  await provider?.stop();
});

const header = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

async function viewer(token) {
  const { status, body } = await service.ask(VIEWER, token);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.errors, undefined);
  return body.data.viewer;
}

/** Asks until the token is taken: after a change of keys that may be ten seconds, so that nobody makes the provider busy. */
async function soon(token) {
  for (let attempt = 0; attempt < 150; attempt += 1) {
    const { status } = await service.ask(VIEWER, token);
    if (status === 200) return attempt;
    assert.equal(status, 401);
    await wait(100);
  }
  return assert.fail('the new key was not found in fifteen seconds');
}

test('a person signs in by an ID token and by an access token', async () => {
  const tokens = await provider.signIn('ada');
  assert.equal(header(tokens.id_token).alg, 'RS256');
  assert.deepEqual([header(tokens.access_token).alg, header(tokens.access_token).typ], ['ES256', 'at+jwt']);
  const [byId, byAccess] = [await viewer(tokens.id_token), await viewer(tokens.access_token)];
  assert.equal(byId.user.email, 'ada@example.com');
  assert.equal(byId.user.name, 'Ada Lovelace');
  assert.ok(Math.abs(Date.parse(byId.user.lastLoginAt) - Date.now()) < 60_000, byId.user.lastLoginAt);
  assert.deepEqual(byId.organizations.nodes, [{ kind: 'PERSONAL' }]);
  assert.deepEqual(byId.sessions, []);
  assert.equal(byAccess.user.id, byId.user.id);
});

test('a token that was changed, and one of somebody without a verified address, are refused', async () => {
  const { id_token: good } = await provider.signIn('ada');
  const [head, , signature] = good.split('.');
  const claims = JSON.parse(Buffer.from(good.split('.')[1], 'base64url'));
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'eve' })).toString('base64url');
  assert.equal((await service.ask(VIEWER, `${head}.${changed}.${signature}`)).status, 401);
  const eve = await provider.signIn('eve');
  assert.equal((await service.ask(VIEWER, eve.id_token)).status, 401);
  assert.equal((await service.ask(VIEWER, eve.access_token)).status, 401);
});

test('the keys change, and then the provider goes away', async () => {
  const old = await provider.signIn('ada');
  const { user } = await viewer(old.id_token);
  provider.rotate();
  const tokens = await provider.signIn('ada');
  assert.notEqual(header(tokens.id_token).kid, header(old.id_token).kid);
  await soon(tokens.id_token);
  assert.equal((await viewer(tokens.id_token)).user.id, user.id);
  assert.equal((await viewer(tokens.access_token)).user.id, user.id);
  assert.equal((await service.ask(VIEWER, old.id_token)).status, 401, 'its key is not published any more');

  await provider.stop();
  assert.equal((await viewer(tokens.id_token)).user.id, user.id);
  const fresh = await startService({ OIDC_ISSUER: provider.issuer, OIDC_AUDIENCE: AUDIENCE });
  try {
    const { status, body } = await fresh.ask(VIEWER, tokens.id_token);
    assert.deepEqual([status, body.errors[0].extensions.code], [503, 'UNAVAILABLE']);
    assert.equal((await fresh.ask('{ viewer { user { id } } }')).status, 200, 'nobody else is kept out');
  } finally {
    await fresh.stop();
  }
});
