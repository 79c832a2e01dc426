// The certified provider `oidc-provider` on loopback. Its keys rotate: a new instance with other keys takes the place of
// the old one behind the same address, as a provider that was configured anew does.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

/** The service at the provider: the client of ID tokens, and the resource of access tokens. */
export const AUDIENCE = 'urn:orgledger';
const REDIRECT = 'https://app.example.com/callback';

const key = (type, options, algorithm) => {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), alg: algorithm, use: 'sig' };
};
const keys = () => [
  key('rsa', { modulusLength: 2048 }, 'RS256'),
  key('ec', { namedCurve: 'P-256' }, 'ES256'),
];

/** What the provider knows of its people; their names there are what they sign in with. */
const people = {
  ada: { email: 'ada@example.com', email_verified: true, name: 'Ada Lovelace' },
  eve: { email: 'ada@example.com', email_verified: false, name: 'Eve' },
};

const configuration = (jwks) => ({
  jwks,
  cookies: { keys: [randomBytes(16).toString('hex')] },
  clients: [{
    client_id: AUDIENCE,
    token_endpoint_auth_method: 'none',
    application_type: 'web',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: [REDIRECT],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  // ID tokens carry what the scopes name, and access tokens what the service needs to know of its caller.
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  extraTokenClaims: (_, token) => people[token.accountId],
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid', audience: AUDIENCE, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

/** Starts a provider. */
export async function startProvider() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const install = (jwks) => {
    const handler = new Provider(issuer, configuration(jwks)).callback();
    server.removeAllListeners('request');
    server.on('request', handler);
  };
  install({ keys: keys() });
  return {
    issuer,
    rotate: () => install({ keys: keys() }),
    signIn: (name) => signIn(issuer, name),
    stop: async () => {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Signs somebody in as a browser would, by the code flow with PKCE; resolves to their tokens. */
async function signIn(issuer, name) {
  const cookies = new Map();
  const visit = async (url, form) => {
    const response = await fetch(url, {
      redirect: 'manual',
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      headers: { cookie: [...cookies].map(([cookie, value]) => `${cookie}=${value}`).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair] = cookie.split(';');
      cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
    await response.arrayBuffer();
    const next = response.headers.get('location');
    if (!next) throw new Error(`${url} answered ${response.status} and leads nowhere`);
    return new URL(next, issuer);
  };
  const verifier = randomBytes(32).toString('base64url');
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const authorize = new URL('/auth', issuer);
  authorize.search = new URLSearchParams({
    client_id: AUDIENCE,
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: 'openid email profile',
    code_challenge: Buffer.from(digest).toString('base64url'),
    code_challenge_method: 'S256',
    // Puts the moment of the sign-in into the ID token.
    max_age: '3600',
  });
  let at = await visit(authorize);
  for (const form of [{ prompt: 'login', login: name, password: 'any' }, { prompt: 'consent' }]) {
    at = await visit(at, form);
    at = await visit(at);
  }
  const code = at.searchParams.get('code');
  if (!code) throw new Error(`no code came back: ${at}`);
  const answer = await fetch(new URL('/token', issuer), {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', client_id: AUDIENCE, redirect_uri: REDIRECT, code, code_verifier: verifier,
    }),
  });
  const tokens = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(tokens));
  return tokens;
}
