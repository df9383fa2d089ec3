// Turnstile, if the server asks for it. Nothing else is loaded from another host.
import { currentLanguage, hush, say } from "./i18n.js";
import { written } from "./page.js";
import { refused } from "./refusal.js";

const SCRIPT = "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit";
const FIELD = "cf_turnstile_token";
/** The width of the full widget; on narrower screens there is a compact one. */
const FULL_WIDTH = 300;

/** By the form that shows them: the id of the widget, its token while that is good, and whether it could not be loaded. */
const widgets = new Map();
const [siteKey] = written("captcha");
let script;

/** Shows a captcha in `form` if there is one. */
export async function startCaptcha(form) {
  if (!siteKey || widgets.has(form)) return;
  const place = form.querySelector("[data-captcha]");
  place.hidden = false;
  const state = {};
  widgets.set(form, state);
  const fail = () => say(place.querySelector(".error"), "error.captcha.unloaded");
  try {
    await (script ??= loadScript());
    state.id = render(place, state, fail);
  } catch {
    // The next form, or a reload of the page, loads it again.
    script = undefined;
    state.isMissing = true;
    fail();
    return;
  }
}

/** The id of a new widget. */
function render(place, state, fail) {
  return turnstile.render(place.querySelector("[role=group]"), {
    sitekey: siteKey,
    language: currentLanguage(),
    size: document.querySelector("main").clientWidth < FULL_WIDTH + 40 ? "compact" : "flexible",
    callback: (solved) => {
      state.token = solved;
      hush(place.querySelector(".error"));
    },
    "expired-callback": () => (state.token = undefined),
    "error-callback": () => {
      state.token = undefined;
      fail();
      // Handled: otherwise Turnstile writes to the console.
      return true;
    },
  });
}

/** Runs `send` with the token of `form`, which serves once: it is renewed whatever the answer is. Without a captcha `send` gets no field. */
export async function withCaptcha(form, send) {
  // The form may be sent before its captcha has been started.
  if (!widgets.has(form)) await startCaptcha(form);
  const state = widgets.get(form);
  if (!state) return send({});
  if (!state.token) throw refused(state.isMissing ? "captcha.unloaded" : "captcha.unsolved");
  const spent = state.token;
  try {
    return await send({ [FIELD]: spent });
  } finally {
    state.token = undefined;
    turnstile.reset(state.id);
  }
}

function loadScript() {
  return new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = SCRIPT;
    tag.addEventListener("load", resolve);
    tag.addEventListener("error", reject);
    document.head.append(tag);
  });
}
