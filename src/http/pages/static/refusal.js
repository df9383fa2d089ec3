// Which text explains a refusal, by the server or by its client.
import { AuthClient, AuthError } from "/arkloop.js";
import { hasText } from "./i18n.js";

/** The field that a refusal speaks of although it does not list fields. */
const FIELDS = {
  "auth.login_exists": "login",
  "auth.email_exists": "email",
  "auth.invite_code_required": "invite_code",
  "auth.invite_code_invalid": "invite_code",
  "auth.captcha_invalid": "cf_turnstile_token",
  "captcha.unsolved": "cf_turnstile_token",
};

/** The client of all pages. */
export const auth = new AuthClient();

/** A refusal by the page itself. */
export function refused(code) {
  return new AuthError(0, { code });
}

/** What is wrong with single fields: the key and the gaps of a text for each. */
export function fieldTexts({ code, details }) {
  const field = FIELDS[code];
  if (field) return { [field]: [`error.${code}`, {}] };
  return Object.fromEntries(
    Object.entries(details.fields ?? {}).map(([name, error]) => {
      const keys = [`field.${name}.${error.code}`, `field.${error.code}`, "field.invalid"];
      return [name, [keys.find(hasText), { min: error.min, max: error.max }]];
    }),
  );
}

/** What is wrong on the whole: the key and the gaps of a text. */
export function textOf({ code, retryAfter, traceId }) {
  const key = `error.${code}`;
  const isLimit = code.startsWith("rate_limit.") || code.startsWith("auth.otp_");
  if (isLimit) return ["error.too_many", { wait: { seconds: retryAfter ?? 60 } }];
  if (hasText(key)) return [key, {}];
  return traceId ? ["error.unexpected", { trace: traceId }] : ["error.client.unreachable", {}];
}

/** The refusal; any other error is a fault of these scripts and belongs in the console. */
export function asRefusal(error) {
  if (error instanceof AuthError) return error;
  console.error(error);
  return refused("page.fault");
}
