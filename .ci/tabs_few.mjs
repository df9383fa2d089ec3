// What .ci/tabs.mjs checks with a few tabs, and how it checks.

export const PASSWORD = "a long and unusual one";
export const problems = [];

export function check(isRight, what) {
  if (!isRight) problems.push(what);
}

export function same(actual, expected, what) {
  const [left, right] = [actual, expected].map((value) => JSON.stringify(value));
  check(left === right, `${what}: ${left} instead of ${right}`);
}

/** `METHOD path status` of every answer, in order. */
export const seen = [];
export const count = (beginning) => seen.filter((line) => line.startsWith(beginning)).length;
export const refreshes = () => count("POST /v1/auth/refresh");

/** `ok`, or the code of the typed error. */
export function outcome(page, task, argument) {
  return page.evaluate(
    async ([task, argument]) => {
      try {
        await (0, eval)(`(${task})`)(argument);
        return "ok";
      } catch (error) {
        return error instanceof AuthError ? error.code : String(error);
      }
    },
    [String(task), argument],
  );
}

/** Signs in without arkloop.js, as a page on another origin of the same server does; gives the access token. */
function enterElsewhere(tabs, operation, fields) {
  return tabs.pages[0].evaluate(async ([address, fields]) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(address, { method: "POST", credentials: "include", headers, body: JSON.stringify(fields) });
    return (await answer.json()).access_token;
  }, [`${tabs.base}/v1/auth/${operation}`, fields]);
}

/** A session that began elsewhere is found by each `resume()`, also after one that found none. */
export async function resumeAgain(tabs) {
  const last = tabs.pages.at(-1);
  const before = await last.evaluate(() => changes.length);
  seen.length = 0;
  same(await last.evaluate(() => auth.resume()), false, `${tabs.what}: resumed while signed out`);
  same([refreshes(), await last.evaluate(() => [auth.userId, changes.length])], [1, [null, before]], `${tabs.what}: asked once more`);
  await enterElsewhere(tabs, "login", { login: tabs.login, password: "another quite unusual one" });
  same(await last.evaluate(() => auth.resume()), true, `${tabs.what}: resumed after a sign-in elsewhere`);
  await tabs.seeAll("string");
}

/** A token that one client gets serves all clients that wait for one, without a pause for each. */
export async function serveWaiting(tabs) {
  const [first] = tabs.pages;
  await first.evaluate(() => (window.clients = Array.from({ length: 40 }, () => new AuthClient())));
  for (const what of ["that were never asked", "with expired tokens"]) {
    await first.evaluate(() => (window.ahead = (window.ahead ?? 0) + 20 * 60_000));
    const began = Date.now();
    same(await outcome(first, () => Promise.all(clients.map((client) => client.accessToken()))), "ok", `${tabs.what}: 40 clients ${what}`);
    const took = Date.now() - began;
    check(took < 5000, `${tabs.what}: 40 clients ${what} took ${took} ms`);
  }
}

/** A page that keeps the lock for ever: another one goes on with a token that comes, and is not signed out by halves. */
export async function standStuckPage(tabs) {
  const [first, stuck] = tabs.pages;
  const name = `arkloop ${tabs.base}`;
  await first.evaluate(() => {
    const { timeout } = AbortSignal;
    AbortSignal.timeout = () => timeout.call(AbortSignal, 1500);
    window.ahead = (window.ahead ?? 0) + 20 * 60_000;
  });
  await stuck.evaluate((name) => void navigator.locks.request(name, () => new Promise((letGo) => (window.letGo = letGo))), name);
  const waiting = outcome(first, async () => (window.given = await auth.accessToken()));
  const token = await enterElsewhere(tabs, "login", { login: tabs.login, password: PASSWORD });
  await stuck.evaluate(([name, token]) => new BroadcastChannel(name).postMessage({ token }), [name, token]);
  same([await waiting, await first.evaluate(() => window.given)], ["ok", token], `${tabs.what}: a token beside a stuck page`);
  same(await outcome(first, () => auth.signOut()), "client.unreachable", `${tabs.what}: signing out beside a stuck page`);
  await tabs.seeAll("string");
  await stuck.evaluate(() => letGo());
}

/** What is no news of this client changes nothing. */
export async function ignoreNoise(tabs) {
  const [first] = tabs.pages;
  await first.evaluate(async (name) => {
    const channel = new BroadcastChannel(name);
    const tokens = ["", "x", "a.b.c", "a.bnVsbA.c", "a.e30.c", 5, {}, undefined];
    for (const message of [null, 5, "x", {}, ...tokens.map((token) => ({ token, ends: "all" }))]) channel.postMessage(message);
    await new Promise((done) => setTimeout(done, 200));
  }, `arkloop ${tabs.base}`);
  await tabs.askAll(0, 0, "after messages that say nothing");
}

/** The token and what is sent go to the server, whatever the path. */
export async function keepHost(tabs) {
  for (const path of [".evil.test/x", ":1/x", "@evil.test/x", "\\x", "v1/me", ""]) {
    // A server without a port in its address.
    const tasks = [
      (path) => new AuthClient("https://auth.arkloop.test").request("GET", path),
      (path) => new AuthClient("https://auth.arkloop.test").request("POST", path, {}),
      (path) => new AuthClient("https://auth.arkloop.test").requestPublic("GET", path),
    ];
    for (const task of tasks) {
      const code = await outcome(tabs.pages[0], task, path);
      check(code.startsWith("TypeError"), `${tabs.what}: ${task} with the path "${path}": ${code}`);
    }
  }
}

export async function changeUser(tabs) {
  const [first] = tabs.pages;
  const other = { login: `${tabs.login}x`, email: `${tabs.login}x@example.org`, password: PASSWORD };
  await first.evaluate((fields) => auth.register(fields), { ...other, login: `${other.login}y`, email: `y${other.email}` });
  await tabs.seeAll("string");
  const before = await first.evaluate(() => auth.userId);
  await enterElsewhere(tabs, "register", other);
  // One of them waits for its turn.
  const request = [["DELETE", "/v1/auth/sessions"], ["PATCH", "/v1/me", { locale: "zh" }]][tabs.hasLocks ? 0 : 1];
  same(await outcome(first, (request) => auth.request(...request), request), "client.user_changed", `${tabs.what}: another account`);
  const after = await first.evaluate(() => auth.userId);
  check(typeof after === "string" && after !== before, `${tabs.what}: the account is ${after} after ${before}`);
  same(await first.evaluate(() => changes.at(-1)), after, `${tabs.what}: the event`);
  same(await outcome(first, () => auth.request("GET", "/v1/me")), "ok", `${tabs.what}: the other account`);
}

export async function typedErrors(tabs) {
  const [first] = tabs.pages;
  const caught = await first.evaluate(async () => {
    const errors = [];
    const note = (error) => errors.push([error instanceof AuthError, error.name, error.status, error.code, error.retryAfter > 0, Object.keys(error.details.fields ?? {}).sort()]);
    await auth.signIn({ login: "nobody-of-that-name", password: "wrong" }).catch(note);
    await auth.register({ login: "x", email: "nothing", password: "short" }).catch(note);
    await auth.requestPublic("GET", "/nothing").catch(note);
    const send = () => auth.requestPublic("POST", "/v1/auth/email/otp/send", { email: "unknown@example.org" });
    await send().then(send).catch(note);
    return errors;
  });
  same(
    caught,
    [
      [true, "AuthError", 401, "auth.invalid_credentials", false, []],
      [true, "AuthError", 422, "validation.error", false, ["email", "login", "password"]],
      [true, "AuthError", 404, "http.not_found", false, []],
      [true, "AuthError", 429, "auth.otp_rate_limited", true, []],
    ],
    `${tabs.what}: typed errors`,
  );
}
