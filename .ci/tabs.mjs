// Many tabs of one app, all of which use arkloop.js, in a real browser: they refresh once among them, none signs the others out, and one
// signs out all.
//
// Usage: CHROMIUM=… FAKETIME_LIBRARY=… node tabs.mjs EXECUTABLE DIRECTORY
// The app and the server have an origin each. A proxy in front of the server counts requests and loses answers.
import { execFileSync, spawn } from "node:child_process";
import { createServer, request as send } from "node:http";

import { chromium, options } from "./chromium.mjs";
import * as few from "./tabs_few.mjs";
import { PASSWORD, check, count, outcome, problems, refreshes, same, seen } from "./tabs_few.mjs";

const [executable, directory] = process.argv.slice(2);
/** Over localhost pages have Web Locks; over plain http elsewhere they have none. */
const HOSTS = { locks: ["localhost", "localhost"], "no locks": ["app.arkloop.test", "auth.arkloop.test"] };
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function listen(handler) {
  const server = createServer(handler);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

/** The proxy: how many answers of refreshes it loses; how long it holds them back. */
let lose = 0;
let delay = 0;
let target;
const proxy = await listen((incoming, outgoing) => {
  const { method, url: path, headers } = incoming;
  const isRefresh = path === "/v1/auth/refresh" && method === "POST";
  const forward = send({ host: "127.0.0.1", port: target, method, path, headers }, async (answer) => {
    seen.push(`${method} ${path} ${answer.statusCode}`);
    if (isRefresh && lose > 0) {
      lose -= 1;
      return incoming.socket.destroy();
    }
    if (isRefresh && delay) await pause(delay);
    // Without connections that are used again, on which a browser tries a request once more by itself.
    outgoing.writeHead(answer.statusCode, { ...answer.headers, connection: "close" });
    answer.pipe(outgoing);
  });
  forward.on("error", () => incoming.socket.destroy());
  incoming.pipe(forward);
});

/** The app: a page, its script, and a service that refuses every token. */
let refused = 0;
const app = await listen((incoming, outgoing) => {
  const [hostname] = incoming.headers.host.split(":");
  const [, auth] = Object.values(HOSTS).find(([host]) => host === hostname);
  const base = `http://${auth}:${proxy.address().port}`;
  if (incoming.url === "/") {
    const policy = `default-src 'none'; script-src 'self' ${base}; connect-src 'self' ${base}; img-src data:`;
    outgoing.writeHead(200, { "content-type": "text/html", "content-security-policy": policy });
    outgoing.end('<!doctype html><link rel="icon" href="data:,"><script type="module" src="/app.js"></script>');
  } else if (incoming.url === "/app.js") {
    outgoing.writeHead(200, { "content-type": "text/javascript" });
    outgoing.end(`import { AuthClient, AuthError } from "${base}/arkloop.js";
      const now = Date.now;
      Date.now = () => now() + (window.ahead ?? 0);
      window.changes = [];
      Object.assign(window, { AuthClient, AuthError });
      window.auth = new AuthClient();
      auth.addEventListener("change", () => changes.push(auth.userId));`);
  } else {
    refused += 1;
    outgoing.writeHead(401).end();
  }
});
const ports = { app: app.address().port, proxy: proxy.address().port };

const free = await listen(() => {});
target = free.address().port;
free.close();
const settings = {
  ...process.env,
  ARKLOOP_DATA_DIR: `${directory}/data`,
  ARKLOOP_SERVER__LISTEN: `127.0.0.1:${target}`,
  ARKLOOP_SERVER__PUBLIC_URL: `http://${HOSTS["no locks"][1]}:${ports.proxy}`,
  ARKLOOP_SERVER__ALLOWED_ORIGINS: Object.values(HOSTS).map(([host]) => `http://${host}:${ports.app}`).join(","),
  ARKLOOP_REGISTRATION__MODE: "open",
  ARKLOOP_RATE_LIMIT__ENABLED: "false",
  ARKLOOP_MAIL__TRANSPORT: "file",
  ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB: "8",
  ARKLOOP_PASSWORD__ARGON2_ITERATIONS: "1",
};
let server;
let log = "";
let ahead = 0;

/** Starts the server again, with a clock that is so many minutes ahead. */
async function startServer() {
  await stopServer();
  const clock = ahead && { LD_PRELOAD: process.env.FAKETIME_LIBRARY, FAKETIME: `+${ahead}m`, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  server = spawn(executable, ["serve"], { cwd: directory, env: { ...settings, ...clock }, stdio: ["ignore", "ignore", "pipe"] });
  server.stderr.on("data", (text) => (log += text));
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${target}/healthz`).catch(() => undefined);
    if (answer?.ok) return;
    await pause(100);
  }
  throw new Error("the server does not answer");
}

async function stopServer() {
  if (!server) return;
  const ended = new Promise((done) => server.once("exit", done));
  server.kill();
  await ended;
}

/** Sixteen minutes later, in a moment: the access tokens of now have expired. */
async function letTokensExpire() {
  ahead += 16;
  await startServer();
}

function command(...words) {
  return execFileSync(executable, words, { cwd: directory, env: settings, encoding: "utf8" });
}

/** A browser with tabs of the app, all signed in to a new account. */
class Tabs {
  static async open(browser, kind, number) {
    const tabs = new Tabs();
    tabs.what = `${number} tabs, ${kind}`;
    tabs.hasLocks = kind === "locks";
    tabs.context = await browser.newContext();
    tabs.address = `http://${HOSTS[kind][0]}:${ports.app}/`;
    tabs.base = `http://${HOSTS[kind][1]}:${ports.proxy}`;
    tabs.pages = [];
    for (let index = 0; index < number; index += 1) await tabs.add();
    tabs.login = `u${Math.random().toString(36).slice(2, 12)}`;
    const fields = { login: tabs.login, email: `${tabs.login}@example.org`, password: PASSWORD };
    await tabs.pages[0].evaluate((fields) => auth.register(fields), fields);
    await tabs.seeAll("string");
    return tabs;
  }

  async add() {
    const page = await this.context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => problems.push(`${this.what}: ${error.stack}`));
    await page.goto(this.address, { waitUntil: "load" });
    await page.waitForFunction(() => window.auth);
    same(await page.evaluate(() => Boolean(navigator.locks)), this.hasLocks, `${this.what}: Web Locks`);
    this.pages.push(page);
    return page;
  }

  /** Waits until the account of every tab is known (`string`) or gone (`object`, since `null` is one). */
  async seeAll(type) {
    const isSo = (type) => typeof auth.userId === type;
    await Promise.all(this.pages.map((page) => page.waitForFunction(isSo, type)));
  }

  /** What `task` gives in each tab, all at once: `ok`, or the code of the refusal. */
  all(task, argument) {
    return Promise.all(this.pages.map((page) => outcome(page, task, argument)));
  }

  /** That each tab asks who it is at once and is told, and how many refreshes that takes. */
  async askAll(refreshed, unauthorized, what) {
    seen.length = 0;
    const every = this.pages.map(() => "ok");
    same(await this.all(() => auth.request("GET", "/v1/me")), every, `${this.what}, ${what}`);
    const number = refreshes();
    // Without locks the server takes them for one, if they come at once.
    const isRight = this.hasLocks ? number === refreshed : number >= refreshed && number <= this.pages.length;
    check(isRight, `${this.what}, ${what}: ${number} refreshes instead of ${refreshed}`);
    same(count("POST /v1/auth/refresh 200"), number, `${this.what}, ${what}: refreshes that were answered`);
    if (this.hasLocks) same(count("GET /v1/me 401"), unauthorized, `${this.what}, ${what}: 401`);
    same(count("GET /v1/me 200"), this.pages.length, `${this.what}, ${what}: 200`);
    await this.seeAll("string");
  }
}

async function expire(tabs) {
  const number = tabs.pages.length;
  await tabs.askAll(0, 0, "fresh tokens");
  // By the clock of the browser: replaced before they are used.
  await tabs.all(() => (window.ahead = 20 * 60_000));
  await tabs.askAll(1, 0, "expired by their own clock");
  // By the clock of the server, which the browser does not know: refused, replaced, sent once more.
  await letTokensExpire();
  await tabs.askAll(1, number, "expired by the server's clock");
  command("key", "rotate", "--now");
  await tabs.askAll(1, number, "of a key that was dropped");
  await tabs.askAll(0, 0, "fresh again");
}

async function loseAnswers(tabs) {
  const [first] = tabs.pages;
  const ask = () => auth.request("GET", "/v1/me");
  for (const number of [1, 2]) {
    await tabs.all(() => (window.ahead = (window.ahead ?? 0) + 20 * 60_000));
    lose = number;
    for (let tries = 0; tries < number; tries += 1) {
      same(await outcome(first, ask), "client.unreachable", `${tabs.what}: the answer ${tries + 1} of ${number} that was lost`);
    }
    same(await first.evaluate(() => typeof auth.userId), "string", `${tabs.what}: signed in after a lost answer`);
    await tabs.askAll(1, 0, `after ${number} lost answers`);
  }

  // A tab that goes away while it refreshes.
  await tabs.all(() => (window.ahead = (window.ahead ?? 0) + 20 * 60_000));
  delay = 400;
  seen.length = 0;
  const closing = tabs.pages.shift();
  closing.evaluate(() => auth.request("GET", "/v1/me")).catch(() => {});
  while (refreshes() === 0) await pause(10);
  await closing.close();
  delay = 0;
  same(await tabs.all(ask), tabs.pages.map(() => "ok"), `${tabs.what}: beside a tab that was closed`);
  const fresh = await tabs.add();
  same(await fresh.evaluate(() => auth.resume()), true, `${tabs.what}: a new tab`);
}

/** A new password replaces the cookie, and waits for refreshes of other tabs: their answers must not bring an older cookie after it. */
async function changePassword(tabs) {
  const next = "another quite unusual one";
  const [first, ...others] = tabs.pages;
  const fields = { current_password: PASSWORD, new_password: next };
  const outcomes = [];
  if (tabs.hasLocks) {
    await Promise.all(others.map((page) => page.evaluate(() => (window.ahead = (window.ahead ?? 0) + 20 * 60_000))));
    [delay, seen.length] = [600, 0];
    outcomes.push(...others.map((page) => outcome(page, () => auth.request("GET", "/v1/me"))));
    while (refreshes() === 0) await pause(10);
  }
  outcomes.push(outcome(first, (fields) => auth.request("POST", "/v1/auth/password/change", fields), fields));
  const codes = await Promise.all(outcomes);
  check(codes.every((code) => code === "ok"), `${tabs.what}: a password changed beside refreshes: ${codes}`);
  delay = 0;
  await tabs.all(() => (window.ahead = (window.ahead ?? 0) + 20 * 60_000));
  await tabs.askAll(1, 0, "after a changed password");
}

async function retryOnce(tabs) {
  const [first] = tabs.pages;
  [refused, seen.length] = [0, 0];
  const status = await first.evaluate(async () => (await auth.fetch("/refuses", { method: "POST", body: "kept" })).status);
  same([status, refused, refreshes()], [401, 2, 1], `${tabs.what}: a service that refuses every token`);
  await tabs.askAll(0, 0, "after that");
}

async function signOut(tabs) {
  const last = tabs.pages.at(-1);
  seen.length = 0;
  same(await outcome(last, () => auth.signOut()), "ok", `${tabs.what}: signing out`);
  await tabs.seeAll("object");
  same(await tabs.all(() => auth.request("GET", "/v1/me")), tabs.pages.map(() => "client.signed_out"), `${tabs.what}: signed out`);
  same([count("POST /v1/auth/logout 200"), count("GET /v1/me"), refreshes()], [1, 0, 0], `${tabs.what}: requests of signing out`);
  const fresh = await tabs.add();
  same(await fresh.evaluate(() => auth.resume()), false, `${tabs.what}: a new tab after signing out`);
  same(await outcome(fresh, () => auth.signOut()), "ok", `${tabs.what}: signing out twice`);
}

/** A session that the operator ends is over in all tabs, and its cookie is presented once. */
async function revoke(tabs) {
  await tabs.pages[0].evaluate((fields) => auth.signIn(fields), { login: tabs.login, password: "another quite unusual one" });
  await tabs.seeAll("string");
  const fresh = await tabs.add();
  same(await fresh.evaluate(() => auth.resume()), true, `${tabs.what}: a new tab while signed in`);
  await tabs.seeAll("string");
  command("session", "revoke", "--user", tabs.login);
  seen.length = 0;
  const codes = await tabs.all(() => auth.request("GET", "/v1/me"));
  check(codes.every((code) => ["auth.invalid_token", "client.signed_out"].includes(code)), `${tabs.what}, revoked: ${codes}`);
  if (tabs.hasLocks) same(refreshes(), 1, `${tabs.what}, revoked: refreshes`);
  await tabs.seeAll("object");
}

let browser;
try {
  await startServer();
  browser = await chromium.launch({
    ...options,
    args: [
      ...options.args,
      "--host-resolver-rules=MAP *.arkloop.test 127.0.0.1",
    ],
  });
  for (const kind of Object.keys(HOSTS)) {
    for (const number of [2, 10]) {
      const tabs = await Tabs.open(browser, kind, number);
      await expire(tabs);
      if (number === 2) {
        await few.ignoreNoise(tabs);
        await few.keepHost(tabs);
        if (tabs.hasLocks) await few.serveWaiting(tabs);
        if (tabs.hasLocks) await few.standStuckPage(tabs);
      }
      await loseAnswers(tabs);
      await changePassword(tabs);
      await retryOnce(tabs);
      await signOut(tabs);
      await few.resumeAgain(tabs);
      await revoke(tabs);
      if (number === 2) {
        await few.changeUser(tabs);
        await few.typedErrors(tabs);
      }
      await tabs.context.close();
      console.log(`${tabs.what}: went through`);
    }
  }
} catch (error) {
  problems.push(error.stack);
} finally {
  await browser?.close();
  await stopServer();
  for (const listener of [proxy, app]) listener.close().closeAllConnections();
}

if (problems.length > 0) console.error(log.split("\n").slice(-30).join("\n"));
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
