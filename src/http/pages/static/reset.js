// /reset: sets a new password with the token of a link; without one, asks for a mail with such a link.
import { startCaptcha, withCaptcha } from "./captcha.js";
import { startForm } from "./form.js";
import { say } from "./i18n.js";
import { forgetLink, takeLink } from "./link.js";
import { element, show, startPage } from "./page.js";
import { auth } from "./refusal.js";
import { passOn } from "./return_to.js";

const link = takeLink(["token"]);
const chooseForm = element("choose-form");
const askForm = element("ask-form");

startForm(chooseForm, setPassword);
startForm(askForm, askForMail);
element("another").addEventListener("click", () => show("ask"));
// They lead to the sign-in page.
for (const link of document.querySelectorAll("main a")) passOn(link);
await startPage(load);

async function load() {
  // A page that holds a token loads no script of another host.
  if (!link) return ask();
  try {
    const { username } = await auth.requestPublic("POST", "/v1/auth/password/reset/preview", { token: link.token });
    element("username").textContent = username;
    element("name-of-account").value = username;
    show("choose");
  } catch (refused) {
    if (!isOver(refused)) throw refused;
    await showOver();
  }
}

function isOver(refused) {
  return refused.code === "auth.reset_token_invalid" || refused.details?.fields?.token;
}

/** Says that the link does not work, and offers to mail another. */
async function showOver() {
  forgetLink();
  chooseForm.remove();
  say(element("ask-title"), "reset.invalid_title");
  say(element("ask-why"), "reset.invalid");
  ask();
}

function ask() {
  show("ask");
  startCaptcha(askForm);
}

async function setPassword(fields) {
  try {
    await auth.requestPublic("POST", "/v1/auth/password/reset/confirm", { token: link.token, ...fields });
  } catch (refused) {
    if (!isOver(refused)) throw refused;
    return showOver();
  }
  forgetLink();
  chooseForm.remove();
  show("changed");
}

async function askForMail(fields) {
  await withCaptcha(askForm, (captcha) => auth.requestPublic("POST", "/v1/auth/password/reset/send", { ...fields, ...captcha }));
  say(element("sent-where"), "reset.sent", { email: fields.email?.trim() });
  show("sent");
}
