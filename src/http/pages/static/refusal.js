// Which text explains a refusal, by the server or by its client.
import { AuthClient, AuthError } from "/arkloop.js";
import { hasText } from "./i18n.js";

/** The fields of the codes that concern a field without listing it. */
const FIELDS = {
  "auth.login_exists": ["login", "username"],
  "auth.email_exists": ["email"],
  "auth.invite_code_required": ["invite_code"],
  "auth.invite_code_invalid": ["invite_code"],
  "auth.otp_invalid": ["otp"],
  "auth.captcha_invalid": ["cf_turnstile_token"],
  "captcha.unsolved": ["cf_turnstile_token"],
  "captcha.unloaded": ["cf_turnstile_token"],
  "page.unsure": ["sure"],
};

/** Codes that have the sentence of another code. */
const ALIKE = {
  "auth.missing_token": "client.signed_out",
  "auth.invalid_authorization": "client.signed_out",
  "auth.token_expired": "client.signed_out",
  "auth.invalid_token": "client.signed_out",
  "auth.refresh_token_missing": "client.signed_out",
  "auth.reset_token_invalid": "email.token_invalid",
  "request.unsupported_media_type": "request.malformed",
  "http.method_not_allowed": "http.not_found",
};

/** The client of all pages. */
export const auth = new AuthClient();

/** A refusal by the page itself. */
export function refused(code) {
  return new AuthError(0, { code });
}

/** What is wrong with single fields: the key and the gaps of a text for each. */
export function fieldTexts({ code, details }) {
  const fields = FIELDS[code];
  if (fields) return Object.fromEntries(fields.map((name) => [name, [`error.${code}`, {}]]));
  return Object.fromEntries(
    Object.entries(details.fields ?? {}).map(([name, error]) => {
      const own = name === "username" ? "login" : name;
      const keys = [`field.${own}.${error.code}`, `field.${error.code}`, "field.invalid"];
      return [name, [keys.find(hasText), { min: error.min, max: error.max }]];
    }),
  );
}

/** The text of a refusal that is not about a field: its key and its gaps. */
export function textOf({ code, retryAfter, traceId }) {
  // A page may have a sentence of its own that says where to go on.
  const own = [`here.${code}`, `error.${ALIKE[code] ?? code}`].find(hasText);
  if (own) return [own, { wait: { seconds: retryAfter ?? 60 }, trace: traceId ?? "–" }];
  return traceId ? ["error.internal.error", { trace: traceId }] : ["error.client.unreachable", {}];
}

/** The refusal; any other error is a fault of these scripts and belongs in the console. */
export function asRefusal(error) {
  if (error instanceof AuthError) return error;
  console.error(error);
  return refused("page.fault");
}
