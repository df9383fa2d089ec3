// /register: creates an account; the invite code in the address fills its field.
import { startCaptcha, withCaptcha } from "./captcha.js";
import { startForm } from "./form.js";
import { currentLanguage, say } from "./i18n.js";
import { element, show, startPage } from "./page.js";
import { auth } from "./refusal.js";
import { askedReturn, goThere, passOn } from "./return_to.js";

/** The beginning of each warning, and the key of its text. The warnings are in src/service/registration.rs; a test compares them. */
const WARNINGS = [
  ["The invite code cannot be used", "register.invite_ignored"],
  ["No verification mail can be sent", "register.no_mail"],
  ["No verification mail was sent", "register.no_mail_now"],
];
const back = askedReturn();
const form = element("form");
const invite = new URLSearchParams(location.search).get("invite") ?? "";

startForm(form, register);
element("go-on").addEventListener("click", () => goThere(back));
element("bad-return").hidden = !back.isRefused;
for (const link of document.querySelectorAll(".links a, #closed a")) passOn(link);
if (!element("invite_code").value) element("invite_code").value = invite;
if (invite) element("invite").hidden = false;
await startPage(() => {
  if (!element("ask").hidden) startCaptcha(form);
});

/** The operator has made invites necessary since the page was loaded. */
function askForInvite() {
  element("invite").hidden = false;
  element("invite-needed").hidden = false;
  element("invite-optional").hidden = true;
  element("invite_code").required = true;
}

async function register(fields) {
  const body = { ...fields, locale: currentLanguage() };
  try {
    const { warning } = await withCaptcha(form, (captcha) => auth.register({ ...body, ...captcha }));
    finish(fields, warning ?? "");
  } catch (refused) {
    // The operator may have changed the mode since the page was loaded.
    if (refused.code === "auth.registration_disabled") return show("closed");
    if (refused.code?.startsWith("auth.invite_code")) askForInvite();
    throw refused;
  }
}

function finish({ login, email }, warning) {
  // Removed together with the password. Browsers take this as a successful sign-in and offer to save the password.
  form.remove();
  // The code is spent: it need not stay in the history.
  history.replaceState(null, "", location.pathname);
  element("username").textContent = login.trim();
  const keys = WARNINGS.filter(([beginning]) => warning.includes(beginning)).map(([, key]) => key);
  element("warnings").append(...(keys.length ? keys.map(known) : warning ? [unknown(warning)] : []));
  element("warnings").hidden = !warning;
  const isMailed = !warning || (keys.length > 0 && !keys.some((key) => key.startsWith("register.no_mail")));
  element("mailed").hidden = !isMailed;
  if (isMailed) say(element("mailed"), "register.mailed", { email: email.trim() });
  element("go-on").hidden = !back.address;
  if (back.address) say(element("go-on"), "return.go", { host: back.host });
  show("done");
}

function known(key) {
  const item = document.createElement("li");
  say(item, key);
  return item;
}

function unknown(warning) {
  const item = document.createElement("li");
  item.lang = "en";
  item.textContent = warning;
  return item;
}
