// The round trip with the client of hey-api, whose zod schemas check each request and each answer.

import assert from 'node:assert/strict';
import { account, base, fetchWithCookie, refreshCookie } from './app';
import { getMe, listSessions, login, logout, refresh, register } from './generated/hey-api';
import { client } from './generated/hey-api/client.gen';

async function main() {
  let accessToken = '';
  client.setConfig({ baseUrl: base, fetch: fetchWithCookie, auth: () => accessToken });

  // As people and devices spell it: zod must take what the server takes.
  const typed = { ...account, email: `${account.email} `, locale: 'en_US' };
  const registered = await register({ body: typed });
  assert(registered.data, registered.error?.message);
  assert.equal(registered.data.token_type, 'bearer');

  const signedIn = await login({ body: { login: account.login, password: account.password } });
  assert(signedIn.data, signedIn.error?.message);
  accessToken = signedIn.data.access_token;

  const me = await getMe();
  assert(me.data, me.error?.message);
  assert.equal(me.data.username, account.login);
  const timezone: string | null = me.data.timezone;
  assert.equal(timezone, null);

  const replaced = refreshCookie();
  const refreshed = await refresh();
  assert(refreshed.data, refreshed.error?.message);
  assert.notEqual(refreshCookie(), replaced);
  accessToken = refreshed.data.access_token;

  const duplicate = await register({ body: account });
  assert(duplicate.error);
  // @ts-expect-error: The type knows every code.
  assert(duplicate.error.code !== 'no.such_code');
  assert.equal(duplicate.response?.status, 409);
  assert(duplicate.error.code === 'auth.login_exists');

  const sessions = await listSessions();
  assert(sessions.data, sessions.error?.message);
  assert.equal(sessions.data.sessions.filter((session) => session.current).length, 1);

  const signedOut = await logout();
  assert.equal(signedOut.data?.ok, true);
  const refused = await getMe();
  assert(refused.error?.code === 'auth.invalid_token');
}

main().then(() => console.log('hey-api with zod: the round trip is done'));
