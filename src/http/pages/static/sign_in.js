// /: signs in by a password or by a mailed code, and brings the person back to the app.
import { startCaptcha, withCaptcha } from "./captcha.js";
import { empty, sayDone, startForm } from "./form.js";
import { say } from "./i18n.js";
import { element, onPress, show, startPage, written } from "./page.js";
import { auth } from "./refusal.js";
import { askedReturn, goThere, passOn } from "./return_to.js";

const ways = written("ways");
const back = askedReturn();
const form = element("form");
const codeForm = element("code-form");
const otpForm = element("otp-form");
/** The address that a code was mailed to. */
let mailedTo;

startForm(form, signIn);
startForm(codeForm, ({ email }) => sendCode(email));
startForm(otpForm, signInByCode);
element("by-code").addEventListener("click", askForAddress);
for (const button of document.querySelectorAll("[data-back]")) button.addEventListener("click", () => showAsk());
onPress(element("code-again"), otpForm.querySelector(".notice"), async () => {
  await mailCode(mailedTo);
  sayDone(otpForm, "code.again_sent");
});
onPress(element("sign-out"), document.querySelector("#signed-in .notice"), async () => {
  await auth.signOut();
  await showAsk();
});
element("go-on").addEventListener("click", () => goThere(back));
// A page that the browser kept while the person was elsewhere.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
await startPage(load);
// Signed in or out in another tab. What this tab does itself it shows itself.
auth.addEventListener("change", () => document.querySelector("[aria-disabled]") || settle());

async function load() {
  if (await auth.resume()) return showSignedIn();
  await showAsk();
}

async function settle() {
  if (auth.userId) await showSignedIn().catch(() => {});
  else if (!element("signed-in").hidden) await showAsk();
}

async function showAsk() {
  const [{ mode }] = await Promise.all([auth.requestPublic("GET", "/v1/auth/registration-mode"), startCaptcha(form)]);
  element("bad-return").hidden = !back.isRefused;
  if (back.address) say(element("returning"), "return.to", { host: back.host });
  element("by-code").hidden = !ways.includes("codes");
  element("reset-link").hidden = !ways.includes("resets");
  element("register-link").hidden = mode === "disabled";
  for (const link of document.querySelectorAll(".links a")) passOn(link);
  empty(codeForm);
  empty(otpForm);
  show("ask");
  // On a phone this would raise the keyboard over the page.
  if (matchMedia("(pointer: fine)").matches) element("login").focus();
}

async function showSignedIn() {
  const { username } = await auth.request("GET", "/v1/me");
  element("username").textContent = username;
  element("bad-return-in").hidden = !back.isRefused;
  element("go-on").hidden = !back.address;
  if (back.address) say(element("go-on"), "return.go", { host: back.host });
  show("signed-in");
}

/** After a sign-in: on to the app, or to what the person came for. */
async function goOn() {
  for (const done of [form, codeForm, otpForm]) empty(done);
  if (back.address) return goThere(back);
  // An address that is not listed was asked for: the person stays here, and reads why.
  if (!back.isRefused) return location.replace("/account");
  return showSignedIn();
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

function mailCode(email) {
  return withCaptcha(codeForm, (captcha) => auth.requestPublic("POST", "/v1/auth/email/otp/send", { email, ...captcha }));
}

async function signInByCode(fields) {
  await auth.signInByCode({ email: mailedTo, ...fields });
  await goOn();
}
