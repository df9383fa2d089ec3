// The client of an arkloop server for web pages; docs/integrate.md shows how to use it.
//
// The browser keeps the refresh cookie, which no script can read. This module keeps the access token, in memory only, and
// hands it to the other tabs of its origin. Whatever changes the cookie waits for one lock of all tabs, so that they
// refresh once among them, and no tab presents a cookie while another one replaces it.

/** Longer than the server takes for anything, short enough for a person who waits. */
const TIMEOUT_MS = 30_000;
/** How long a tab keeps the lock after its token has changed, so that the next one has the news before its turn. */
const SETTLE_MS = 250;
/** The part of its life after which an access token is replaced before it is used. */
const FRESH_PART = 0.9;

/** A refusal by the server, with its documented `code`, or by this module: `client.unreachable`, `client.signed_out`, `client.user_changed`. */
export class AuthError extends Error {
  constructor(status, { code, message, details, trace_id: traceId } = {}, retryAfter) {
    super(message ?? "the server cannot be reached");
    this.name = "AuthError";
    Object.assign(this, { status, code: code ?? "client.unreachable", details: details ?? {}, traceId, retryAfter });
  }
}

/** A browser's sign-in to one server; `arkloop.d.ts` describes what a page may call. */
export class AuthClient extends EventTarget {
  /** `undefined` if the server is to be asked, `null` when signed out. */
  #token;
  #userId;
  #receivedAt = 0;
  #renewal;
  #turn = Promise.resolve();
  #url;
  #name;
  #channel;

  constructor(url = new URL(import.meta.url).origin) {
    super();
    this.#url = new URL(url).origin;
    this.#name = `arkloop ${this.#url}`;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => {
      const { token, ends } = data ?? {};
      // A refused refresh ends the sign-in that it was for, and no newer one.
      const isOver = token === null && (ends === "all" || ends === this.#token);
      if (isOver || isToken(token)) this.#take(token);
    };
  }

  get userId() {
    return this.#userId;
  }

  async resume() {
    // A page of another origin may have signed in since the server was asked.
    this.#token ??= undefined;
    await this.accessToken().catch((error) => {
      if (this.#token !== null) throw error;
    });
    return this.#token !== null;
  }

  signIn(fields) {
    return this.#enter("/v1/auth/login", fields);
  }

  signInByCode(fields) {
    return this.#enter("/v1/auth/email/otp/verify", fields);
  }

  register(fields) {
    return this.#enter("/v1/auth/register", fields);
  }

  signOut() {
    return this.#inTurn(async () => {
      await this.#requestInTurn("POST", "/v1/auth/logout").catch((error) => {
        // 401: the session has ended already.
        if (error.status !== 401) throw error;
      });
      this.#tell({ token: null, ends: "all" });
    });
  }

  deleteAccount(fields = {}) {
    return this.#inTurn(async () => {
      await this.#requestInTurn("POST", "/v1/auth/account/delete", fields);
      this.#tell({ token: null, ends: "all" });
    });
  }

  async accessToken() {
    return this.#isFresh() ? this.#token : this.#renewed(this.#token);
  }

  async fetch(input, init) {
    return this.#fetch(new Request(input, init), (used) => this.#renewed(used));
  }

  async request(method, path, body) {
    const address = this.#address(path);
    // Some of these replace the cookie.
    const isForOneTab = method !== "GET" && path.startsWith("/v1/auth/");
    if (isForOneTab) return this.#inTurn(() => this.#requestInTurn(method, path, body));
    return read(this.fetch(new Request(address, options(method, body))));
  }

  async requestPublic(method, path, body) {
    return read(fetch(this.#address(path), options(method, body)));
  }

  /** Of an operation. Without its slash, `.example.org` or `:8443` would become a part of the host. */
  #address(path) {
    if (!path.startsWith("/")) throw new TypeError(`the path "${path}" has to begin with "/"`);
    return this.#url + path;
  }

  #enter(path, fields) {
    return this.#inTurn(async () => {
      const answer = await this.requestPublic("POST", path, fields);
      this.#tell({ token: answer.access_token });
      return answer;
    });
  }

  async #requestInTurn(method, path, body) {
    const request = new Request(this.#address(path), options(method, body));
    return read(this.#fetch(request, (used) => this.#renew(used)));
  }

  async #fetch(request, renewed) {
    const send = (token) => {
      const copy = request.clone();
      copy.headers.set("authorization", `Bearer ${token}`);
      return fetch(copy);
    };
    const token = this.#isFresh() ? this.#token : await renewed(this.#token);
    const response = await send(token);
    return response.status === 401 ? send(await renewed(token)) : response;
  }

  /** The token instead of `used`, however many ask for it. */
  async #renewed(used) {
    if (used !== null && used === this.#token) {
      this.#renewal ??= this.#inTurn(() => this.#renew(used)).finally(() => (this.#renewal = undefined));
      await this.#renewal.catch((error) => {
        // The lock did not come, but perhaps the token did.
        if (error.status || used === this.#token) throw error;
      });
    }
    return this.#instead(used);
  }

  /** In turn: replaces the token `used`, unless another tab has done so. */
  async #renew(used) {
    if (used === null || used !== this.#token) return this.#instead(used);
    try {
      // Without `keepalive`: when a page goes away, losing its answer is better than setting an old cookie after a new sign-in.
      this.#tell({ token: (await this.requestPublic("POST", "/v1/auth/refresh")).access_token });
    } catch (error) {
      if (used !== this.#token) return this.#instead(used);
      const isOver = error.status === 401 || error.code === "auth.user_suspended";
      // Any other failure leaves everything as it was: an answer that is lost costs nothing.
      if (isOver) this.#tell({ token: null, ends: used });
      throw error;
    }
    return this.#instead(used);
  }

  /** The present token; a request that was begun for one account is not sent for another. */
  #instead(used) {
    if (!this.#token) throw new AuthError(401, { code: "client.signed_out", message: "no account is signed in" });
    if (used && claims(used).sub !== this.userId) {
      throw new AuthError(409, { code: "client.user_changed", message: "another account has signed in in this browser" });
    }
    return this.#token;
  }

  #isFresh() {
    if (!this.#token) return false;
    // By how long it lives and when it came, so that a wrong clock does not matter.
    const { iat, exp } = claims(this.#token);
    const age = (Date.now() - this.#receivedAt) / 1000;
    return age >= 0 && age < (exp - iat) * FRESH_PART;
  }

  #tell(news) {
    this.#channel.postMessage(news);
    this.#take(news.token);
  }

  #take(token) {
    this.#token = token;
    this.#receivedAt = Date.now();
    const before = this.#userId;
    this.#userId = token && claims(token).sub;
    if (this.#userId !== before) this.dispatchEvent(new Event("change"));
  }

  /** Runs `task` while no other tab changes the cookie; without the Web Locks of https and localhost, no other task of this tab. */
  #inTurn(task) {
    const locks = globalThis.navigator?.locks;
    if (!locks) return (this.#turn = this.#turn.catch(() => {}).then(task));
    return new Promise((resolve, reject) => {
      const run = async () => {
        const before = this.#token;
        await task().then(resolve, reject);
        if (this.#token !== before) await new Promise((settled) => setTimeout(settled, SETTLE_MS));
      };
      const refuse = () => reject(new AuthError(0, { message: "another tab of this browser does not answer; close it" }));
      locks.request(this.#name, { signal: AbortSignal.timeout(TIMEOUT_MS) }, run).catch(refuse);
    });
  }
}

/** What a token says. Only a service that verifies it may believe this. */
function claims(token) {
  return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
}

/** Whether a message has one: every script of the origin can send messages. */
function isToken(value) {
  try {
    return typeof claims(value).sub === "string";
  } catch {
    return false;
  }
}

function options(method, body) {
  const json = body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return { method, ...json, signal, credentials: "include", cache: "no-store", redirect: "error" };
}

/** The body of an answer; a refusal is thrown. */
async function read(answer) {
  let response, body;
  try {
    response = await answer;
    body = response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof AuthError) throw error;
    // Also what a proxy answers for a server that is down, or a hotel's network for everything: no JSON.
  }
  if (response?.ok && body !== undefined) return body;
  throw new AuthError(response?.status ?? 0, body ?? {}, Number(response?.headers.get("retry-after")) || undefined);
}
