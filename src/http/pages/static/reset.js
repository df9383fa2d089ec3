// /reset: sets a new password with the token of a link; without one, asks for a mail with such a link.
import { startCaptcha, withCaptcha } from "./captcha.js";
import { startForm } from "./form.js";
import { say } from "./i18n.js";
import { show, startPage, takeToken } from "./page.js";
import { auth } from "./refusal.js";

const token = takeToken();
const element = (id) => document.getElementById(id);

startForm(element("choose-form"), setPassword);
startForm(element("ask-form"), askForMail);
element("another").addEventListener("click", () => show("ask"));
await startPage(load);

async function load() {
  // Turnstile's script comes from elsewhere: it is not loaded beside a token that is worth something.
  if (token) return show("choose");
  await startCaptcha();
  show("ask");
}

async function setPassword(fields) {
  try {
    await auth.requestPublic("POST", "/v1/auth/password/reset/confirm", { token, ...fields });
    element("choose-form").remove();
    show("changed");
  } catch (refused) {
    const isInvalid = refused.code === "auth.reset_token_invalid" || refused.details.fields?.token;
    if (!isInvalid) throw refused;
    element("choose-form").remove();
    say(element("ask-title"), "reset.invalid_title");
    say(element("ask-why"), "reset.invalid");
    await startCaptcha();
    show("ask");
  }
}

async function askForMail(fields) {
  await withCaptcha((captcha) =>
    auth.requestPublic("POST", "/v1/auth/password/reset/send", { ...fields, ...captcha }),
  );
  say(element("sent-where"), "reset.sent", { email: fields.email?.trim() });
  show("sent");
}
