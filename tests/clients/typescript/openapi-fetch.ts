// The round trip with the types of openapi-typescript and the calls of openapi-fetch.

import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import { account, base, fetchWithCookie, refreshCookie } from './app';
import type { paths } from './generated/openapi-fetch';

async function main() {
  const api = createClient<paths>({ baseUrl: base, fetch: fetchWithCookie });
  let accessToken = '';
  api.use({
    onRequest({ request }) {
      if (accessToken) request.headers.set('Authorization', `Bearer ${accessToken}`);
    },
  });

  const registered = await api.POST('/v1/auth/register', { body: account });
  assert(registered.data, registered.error?.message);
  assert.equal(registered.data.token_type, 'bearer');

  const login = await api.POST('/v1/auth/login', { body: { login: account.login, password: account.password } });
  assert(login.data, login.error?.message);
  accessToken = login.data.access_token;

  const me = await api.GET('/v1/me');
  assert(me.data, me.error?.message);
  assert.equal(me.data.username, account.login);
  const timezone: string | null = me.data.timezone;
  assert.equal(timezone, null);

  const replaced = refreshCookie();
  const refreshed = await api.POST('/v1/auth/refresh');
  assert(refreshed.data, refreshed.error?.message);
  assert.notEqual(refreshCookie(), replaced);
  accessToken = refreshed.data.access_token;

  const duplicate = await api.POST('/v1/auth/register', { body: account });
  assert(duplicate.error);
  // @ts-expect-error: The type knows every code.
  assert(duplicate.error.code !== 'no.such_code');
  assert.equal(duplicate.response.status, 409);
  assert(duplicate.error.code === 'auth.login_exists');

  const invalid = await api.POST('/v1/auth/login', { body: { login: '', password: account.password } });
  assert(invalid.error?.code === 'validation.error');
  assert.equal(invalid.error.details?.fields?.login.code, 'missing');

  const sessions = await api.GET('/v1/auth/sessions');
  assert(sessions.data, sessions.error?.message);
  assert.equal(sessions.data.sessions.filter((session) => session.current).length, 1);

  const logout = await api.POST('/v1/auth/logout');
  assert.equal(logout.data?.ok, true);
  const signedOut = await api.GET('/v1/me');
  assert(signedOut.error?.code === 'auth.invalid_token');
}

main().then(() => console.log('openapi-fetch: the round trip is done'));
