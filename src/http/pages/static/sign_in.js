// /: signs in by a password or by a mailed code, and brings the person back to the app.
import { startCaptcha, withCaptcha } from "./captcha.js";
import { empty, refuseForm, sayDone, startForm } from "./form.js";
import { say } from "./i18n.js";
import { element, onPress, show, startPage } from "./page.js";
import { auth } from "./refusal.js";
import { askedReturn, goThere, passOn } from "./return_to.js";

/** Refusals that a person overcomes by solving the captcha. */
const OF_CAPTCHA = ["captcha.unsolved", "captcha.unloaded", "auth.captcha_invalid"];
const back = askedReturn();
const form = element("form");
const codeForm = element("code-form");
const otpForm = element("otp-form");
/** The address that a code was mailed to. */
let mailedTo;
/** The account that the page shows, `null` while it shows none, `undefined` before it has loaded. */
let shown;

startForm(form, signIn);
startForm(codeForm, ({ email }) => sendCode(email));
startForm(otpForm, signInByCode);
element("by-code")?.addEventListener("click", askForAddress);
for (const button of document.querySelectorAll("[data-back]")) button.addEventListener("click", showAsk);
onPress(element("code-again"), otpForm.querySelector(".notice"), mailAgain);
onPress(element("sign-out"), document.querySelector("#signed-in .notice"), async () => {
  await auth.signOut();
  showAsk();
});
element("bad-return").hidden = !back.isRefused;
if (back.address) say(element("returning"), "return.to", { host: back.host });
for (const link of document.querySelectorAll(".links a")) passOn(link);
element("go-on").addEventListener("click", () => goThere(back));
// The browser shows a page again that it kept, for example after Back.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
// Signed in or out in another tab. What this tab does itself it shows itself.
auth.addEventListener("change", follow);
document.addEventListener("idle", follow);
await startPage(load);

async function load() {
  shown = undefined;
  // The form, which is there, says itself if the server does not answer.
  if (await auth.resume().catch(() => false)) await showSignedIn();
  // The form was there at once: the person may have gone on to a code.
  else if (element("code-ask").hidden && element("code-enter").hidden) showAsk();
  else shown = null;
  await follow();
}

/** Shows what has changed since: not before the page has loaded, nor while a button waits. */
async function follow() {
  if (shown === undefined || shown === (auth.userId ?? null) || document.querySelector("[aria-disabled]")) return;
  if (auth.userId) await showSignedIn().catch(() => {});
  else showAsk();
}

function showAsk() {
  empty(codeForm);
  empty(otpForm);
  element("username").textContent = "";
  shown = null;
  // At first it is there already, and a person may be typing.
  if (element("ask").hidden) show("ask");
  startCaptcha(form);
  // On a phone this would raise the keyboard over the page.
  const isFree = document.activeElement?.matches("body, h1");
  if (isFree && matchMedia("(pointer: fine)").matches) element("login").focus();
}

async function showSignedIn() {
  const { userId } = auth;
  const { username } = await auth.request("GET", "/v1/me");
  shown = userId;
  element("username").textContent = username;
  element("bad-return-in").hidden = !back.isRefused;
  element("go-on").hidden = !back.address;
  if (back.address) say(element("go-on"), "return.go", { host: back.host });
  // Also what was typed before it was known that an account is signed in.
  [form, codeForm, otpForm].forEach(empty);
  show("signed-in");
}

/** After a sign-in: back to the app, or to the account page. */
async function goOn() {
  for (const done of [form, codeForm, otpForm]) empty(done);
  // The refused `return_to` is explained here, so the person stays on this page.
  if (back.isRefused) return showSignedIn();
  // This page is left and need not show the account.
  shown = auth.userId;
  if (back.address) goThere(back);
  else location.replace("/account");
}

async function signIn(fields) {
  await withCaptcha(form, (captcha) => auth.signIn({ ...fields, ...captcha }));
  await goOn();
}

async function askForAddress() {
  const login = element("login").value.trim();
  if (login.includes("@")) element("email").value = login;
  show("code-ask");
  await startCaptcha(codeForm);
}

async function sendCode(email) {
  await mailCode(email);
  mailedTo = email.trim();
  element("otp-email").value = mailedTo;
  say(element("code-sent"), "code.sent", { email: mailedTo });
  show("code-enter");
  element("otp").focus();
}

async function mailAgain() {
  try {
    await mailCode(mailedTo);
  } catch (refusal) {
    if (!OF_CAPTCHA.includes(refusal.code)) throw refusal;
    // The widget stands in the form that asked for the first code.
    element("email").value = mailedTo;
    show("code-ask");
    return refuseForm(codeForm, refusal);
  }
  sayDone(otpForm, "code.again_sent");
}

function mailCode(email) {
  return withCaptcha(codeForm, (captcha) => auth.requestPublic("POST", "/v1/auth/email/otp/send", { email, ...captcha }));
}

async function signInByCode(fields) {
  await auth.signInByCode({ email: mailedTo, ...fields });
  await goOn();
}
