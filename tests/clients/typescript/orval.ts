// The round trip with the fetch client of orval.

import assert from 'node:assert/strict';
import { account, refreshCookie } from './app';
import { getMe, listSessions, login, logout, refresh, register } from './generated/orval';

async function main() {
  const registered = await register(account);
  assert(registered.status === 201, JSON.stringify(registered));
  assert.equal(registered.data.token_type, 'bearer');

  const signedIn = await login({ login: account.login, password: account.password });
  assert(signedIn.status === 200, JSON.stringify(signedIn));
  const bearer = (accessToken: string) => ({ headers: { Authorization: `Bearer ${accessToken}` } });

  const me = await getMe(bearer(signedIn.data.access_token));
  assert(me.status === 200, JSON.stringify(me));
  assert.equal(me.data.username, account.login);
  const timezone: string | null = me.data.timezone;
  assert.equal(timezone, null);

  const replaced = refreshCookie();
  const refreshed = await refresh();
  assert(refreshed.status === 200, JSON.stringify(refreshed));
  assert.notEqual(refreshCookie(), replaced);
  const options = bearer(refreshed.data.access_token);

  const duplicate = await register(account);
  assert(duplicate.status === 409);
  // @ts-expect-error: The type knows every code.
  assert(duplicate.data.code !== 'no.such_code');
  assert(duplicate.data.code === 'auth.login_exists');

  const sessions = await listSessions(options);
  assert(sessions.status === 200, JSON.stringify(sessions));
  assert.equal(sessions.data.sessions.filter((session) => session.current).length, 1);

  const signedOut = await logout(options);
  assert(signedOut.status === 200);
  assert.equal(signedOut.data.ok, true);
  const refused = await getMe(options);
  assert(refused.status === 401 && refused.data.code === 'auth.invalid_token');
}

main().then(() => console.log('orval: the round trip is done'));
