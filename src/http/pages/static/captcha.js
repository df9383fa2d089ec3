// Turnstile, where the server asks for it: the only thing that comes from another host, and only then.
import { currentLanguage, hush, say } from "./i18n.js";
import { auth, refused } from "./refusal.js";

const SCRIPT = "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit";
const SLOT = "cf_turnstile_token";
/** The width of the full widget; on narrower screens there is a compact one. */
const FULL_WIDTH = 300;

let widget;
let token;

/** Learns whether there is a captcha, and loads its script if there is. */
export async function startCaptcha() {
  const { enabled, site_key: siteKey } = await auth.requestPublic("GET", "/v1/auth/captcha-config");
  if (!enabled || widget !== undefined) return;
  document.getElementById(`${SLOT}-field`).hidden = false;
  try {
    await loadScript();
  } catch {
    fail();
    return;
  }
  const slot = document.getElementById(SLOT);
  widget = turnstile.render(slot, {
    sitekey: siteKey,
    language: currentLanguage(),
    size: document.querySelector("main").clientWidth < FULL_WIDTH + 40 ? "compact" : "flexible",
    callback: (solved) => {
      token = solved;
      hush(document.getElementById(`${SLOT}-error`));
    },
    "expired-callback": () => (token = undefined),
    "error-callback": () => {
      token = undefined;
      fail();
      // Handled: otherwise Turnstile writes to the console.
      return true;
    },
  });
}

/** Runs `send` with the token, which serves once: it is renewed whatever the answer is. `null` where there is no captcha. */
export async function withCaptcha(send) {
  const field = document.getElementById(`${SLOT}-field`);
  if (field.hidden) return send({});
  if (!token) throw refused(widget === undefined ? "captcha.unloaded" : "captcha.unsolved");
  const spent = token;
  try {
    return await send({ [SLOT]: spent });
  } finally {
    token = undefined;
    turnstile.reset(widget);
  }
}

function loadScript() {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SCRIPT;
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
}

function fail() {
  say(document.getElementById(`${SLOT}-error`), "error.captcha.unloaded");
}
