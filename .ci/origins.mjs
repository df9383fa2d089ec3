// Calls the server from pages of other origins in a real browser. Nothing is intercepted: that would answer preflights itself.
//
// Usage: CHROMIUM=… node origins.mjs BASE_URL LISTED_PORT FOREIGN_PORT EXTENSION_DIRECTORY EXTENSION_KEY EXTENSION_ORIGIN
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

import { chromium, options } from "./chromium.mjs";

const [base, listedPort, foreignPort, extension, key, extensionOrigin] = process.argv.slice(2);
const PASSWORD = "a long and unusual one";
/** What libraries for tracing and errors add to each call of an app. */
const BAGGAGE = {
  baggage: "sentry-environment=production",
  "sentry-trace": "0123456789abcdef0123456789abcdef-0123456789abcdef-1",
  traceparent: "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
  tracestate: "vendor=1",
  "x-requested-with": "XMLHttpRequest",
};
const problems = [];

function check(isRight, what) {
  if (!isRight) problems.push(what);
}

function servePages(port) {
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>an app</title>"));
  return new Promise((resolve) => server.listen(port, "localhost", () => resolve(server)));
}

/** An app that runs in `page`. */
class App {
  constructor(page, name) {
    Object.assign(this, { page, name });
  }

  /** Has the page call the server; what it gets to read. */
  call(method, path, { token, ...init } = {}) {
    const headers = { ...BAGGAGE, ...(init.body && { "content-type": "application/json" }), ...(token && { authorization: `Bearer ${token}` }) };
    return this.page.evaluate(
      async ([url, init]) => {
        try {
          const response = await fetch(url, init);
          const text = await response.text();
          const headers = Object.fromEntries(response.headers);
          return { status: response.status, headers, body: text && text.startsWith("{") ? JSON.parse(text) : text };
        } catch (error) {
          return { error: error.name };
        }
      },
      [base + path, { method, credentials: "include", ...init, headers: { ...headers, ...init.headers } }],
    );
  }

  /** Calls the server, which must refuse it with `status` and `code`, and the page must be able to read that. */
  async refused(status, code, method, path, init, header) {
    const answer = await this.call(method, path, init);
    check(answer.status === status && answer.body?.code === code, `${this.name}: ${method} ${path}: ${JSON.stringify(answer)}`);
    check(answer.headers?.["x-trace-id"] === answer.body?.trace_id, `${this.name}: ${method} ${path}: no trace id`);
    check(!header || answer.headers?.[header], `${this.name}: ${method} ${path}: no ${header}`);
  }

  async served(status, method, path, init) {
    const answer = await this.call(method, path, init);
    check(answer.status === status, `${this.name}: ${method} ${path}: ${JSON.stringify(answer)}`);
    return answer.body;
  }

  /** Everything that an app does, and every kind of refusal that it may meet. */
  async useEverything(login) {
    const register = JSON.stringify({ login, password: PASSWORD, email: `${login}@example.org` });
    await this.served(201, "POST", "/v1/auth/register", { body: register });
    await this.served(200, "POST", "/v1/auth/login", { body: JSON.stringify({ login, password: PASSWORD }) });
    const { access_token: token } = await this.served(200, "POST", "/v1/auth/refresh");
    check((await this.served(200, "GET", "/v1/me", { token }))?.username === login, `${this.name}: another account`);
    await this.served(200, "PATCH", "/v1/me", { token, body: '{"locale":"zh"}' });

    await this.refused(404, "http.not_found", "GET", "/v1/nowhere");
    await this.refused(404, "http.not_found", "PUT", "/v1/auth/login/", { body: "{}" });
    await this.refused(404, "http.not_found", "POST", "/", { body: "{}" });
    await this.refused(405, "http.method_not_allowed", "POST", "/v1/me", { token, body: "{}" });
    await this.refused(405, "http.method_not_allowed", "DELETE", "/v1/me", { token });
    await this.refused(405, "http.method_not_allowed", "PUT", "/v1/auth/login", { body: "{}" });
    await this.refused(405, "http.method_not_allowed", "BREW", "/v1/auth/sessions", { token });
    await this.refused(401, "auth.missing_token", "GET", "/v1/me", {}, "www-authenticate");
    await this.refused(401, "auth.invalid_token", "GET", "/v1/me", { token: "nonsense" }, "www-authenticate");
    await this.refused(400, "request.malformed", "POST", "/v1/auth/login", { body: "[]" });
    await this.refused(409, "auth.login_exists", "POST", "/v1/auth/register", { body: register });
    await this.refused(413, "request.too_large", "POST", "/v1/auth/login", { body: "x".repeat(20_000) });
    await this.refused(415, "request.unsupported_media_type", "POST", "/v1/auth/login", { body: "{}", headers: { "content-type": "text/xml" } });
    await this.refused(422, "validation.error", "POST", "/v1/auth/register", { body: "{}" });
    const again = { body: JSON.stringify({ login }) };
    await this.call("POST", "/v1/auth/check", again);
    await this.refused(429, "rate_limit.exceeded", "POST", "/v1/auth/check", again, "retry-after");
    await this.refused(429, "rate_limit.exceeded", "POST", "/v1/auth/check", again, "ratelimit");
    return token;
  }
}

mkdirSync(extension);
const manifest = { manifest_version: 3, name: "an extension", version: "1", key };
writeFileSync(`${extension}/manifest.json`, JSON.stringify(manifest));
writeFileSync(`${extension}/page.html`, "<!doctype html><title>an extension</title>");
const servers = await Promise.all([listedPort, foreignPort].map(servePages));
const context = await chromium.launchPersistentContext("", {
  ...options,
  args: [
    ...options.args,
    `--disable-extensions-except=${extension}`,
    `--load-extension=${extension}`,
  ],
});

try {
  const open = async (url, name) => {
    const page = await context.newPage();
    await page.goto(url);
    return new App(page, name);
  };
  const listed = await open(`http://localhost:${listedPort}/`, "the listed app");
  await listed.useEverything("alice");

  const foreign = await open(`http://localhost:${foreignPort}/`, "the foreign page");
  const sign_in = { body: JSON.stringify({ login: "alice", password: PASSWORD }) };
  for (const [method, path, init] of [
    ["POST", "/v1/auth/login", sign_in],
    ["POST", "/v1/auth/refresh"],
    ["POST", "/v1/auth/refresh", { headers: undefined }],
    ["GET", "/v1/me"],
    ["GET", "/v1/nowhere"],
    ["GET", "/healthz"],
  ]) {
    const answer = await foreign.call(method, path, init);
    check(answer.error === "TypeError", `${foreign.name}: ${method} ${path}: ${JSON.stringify(answer)}`);
  }
  // What needs no preflight arrives, and is refused: the session of the browser is as it was.
  const blind = await foreign.page.evaluate(
    async (url) => (await fetch(url, { method: "POST", mode: "no-cors", credentials: "include" })).type,
    `${base}/v1/auth/refresh`,
  );
  check(blind === "opaque", `${foreign.name}: ${blind}`);
  await listed.served(200, "POST", "/v1/auth/refresh");
  const keys = await foreign.call("GET", "/.well-known/jwks.json", { credentials: "omit" });
  check(keys.body?.keys?.length === 1, `${foreign.name}: the public keys: ${JSON.stringify(keys)}`);

  const inExtension = await open(`${extensionOrigin}/page.html`, "the extension");
  check((await inExtension.page.evaluate(() => location.origin)) === extensionOrigin, "the extension has another origin");
  await inExtension.refused(404, "http.not_found", "POST", "/v1/nowhere", { body: "{}" });
  await inExtension.served(200, "POST", "/v1/auth/login", sign_in);
  await inExtension.refused(422, "validation.error", "POST", "/v1/auth/register", { body: "{}" });
} finally {
  await context.close();
  servers.forEach((server) => server.close());
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log("listed pages act and read every refusal; others read nothing");
