// The public API as the pages use it, and which text explains a refusal.
import { hasText } from "./i18n.js";

/** Longer than the server takes for anything, short enough for somebody who waits. */
const TIMEOUT_MS = 30_000;
/** The field that a refusal speaks of although it does not list fields. */
const FIELDS = {
  "auth.login_exists": "login",
  "auth.email_exists": "email",
  "auth.invite_code_required": "invite_code",
  "auth.invite_code_invalid": "invite_code",
  "auth.captcha_invalid": "cf_turnstile_token",
  "captcha.unsolved": "cf_turnstile_token",
};

/** A refusal of the server (`code` as documented), of the captcha, or of the network (`unreachable`). */
export class Refused extends Error {
  constructor(code, { fields = {}, retryAfter, traceId } = {}) {
    super(code);
    this.code = code;
    this.retryAfter = retryAfter;
    this.traceId = traceId;
    this.fields = fields;
  }

  /** What is wrong with single fields: the key and the gaps of a text for each. */
  fieldTexts() {
    const field = FIELDS[this.code];
    if (field) return { [field]: [`error.${this.code}`, {}] };
    return Object.fromEntries(
      Object.entries(this.fields).map(([name, error]) => {
        const keys = [`field.${name}.${error.code}`, `field.${error.code}`, "field.invalid"];
        return [name, [keys.find(hasText), { min: error.min, max: error.max }]];
      }),
    );
  }

  /** What is wrong on the whole: the key and the gaps of a text. */
  text() {
    const key = `error.${this.code}`;
    const isLimit = this.code.startsWith("rate_limit.") || this.code.startsWith("auth.otp_");
    if (isLimit) return ["error.too_many", { wait: { seconds: this.retryAfter ?? 60 } }];
    if (hasText(key)) return [key, {}];
    return this.traceId ? ["error.unexpected", { trace: this.traceId }] : ["error.unreachable", {}];
  }
}

/** GETs `path`; gives the body. */
export function get(path) {
  return call(path, { method: "GET" });
}

/** POSTs `body` to `path`; gives the body of the answer, `null` if it has none. Absent members are left out. */
export function post(path, body) {
  return call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function call(path, options) {
  let response, body;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(path, { ...options, signal, cache: "no-store", redirect: "error" });
    body = response.status === 204 ? null : await response.json();
  } catch {
    // Also what a proxy answers for a server that is down, or a hotel's network for everybody: no JSON.
    throw new Refused("unreachable");
  }
  if (response.ok) return body;
  throw new Refused(body?.code ?? "unreachable", {
    fields: body?.details?.fields,
    retryAfter: Number(response.headers.get("retry-after")) || undefined,
    traceId: body?.trace_id,
  });
}
