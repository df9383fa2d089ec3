// Walks through the pages that show Turnstile, with a stand-in for its script, in each language.
//
// Usage: CHROMIUM=… node pages_captcha.mjs BASE_URL OUTBOX SITEVERIFY_PORT [SCREENSHOTS]
// The server has a Turnstile whose tokens are verified at SITEVERIFY_PORT, and open registration.
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";

import { chromium, options } from "./chromium.mjs";
import { fillIn } from "./pages_sign_in.mjs";
import { LANGUAGES, PASSWORD, Setting, Visitor, check, problems } from "./pages_view.mjs";

const TURNSTILE = "https://challenges.cloudflare.com";
const [base, outbox, port, screenshots] = process.argv.slice(2);

/** As much of Turnstile as the pages use: a widget that a person has to click. It remembers what a script of another host found in the tab. */
const STANDIN = `
globalThis.found = Object.keys(sessionStorage);
const widgets = [];
let tokens = 0;
globalThis.turnstile = {
  render(place, { callback, sitekey, language, size }) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: "I am human", className: "stand-in" });
    Object.assign(button.dataset, { sitekey, language, size });
    button.addEventListener("click", () => {
      button.disabled = true;
      callback("token-" + ++tokens);
    });
    place.append(button);
    return widgets.push(button) - 1;
  },
  reset(id) {
    widgets[id].disabled = false;
  },
};
`;

/** Whether Turnstile's script can be loaded. */
let isReachable = true;
/** The tokens that the server had verified. */
const verified = [];

const siteverify = createServer(async (request, answer) => {
  let form = "";
  for await (const piece of request) form += piece;
  const token = new URLSearchParams(form).get("response");
  verified.push(token);
  answer.writeHead(200, { "content-type": "application/json" });
  answer.end(JSON.stringify({ success: true, hostname: "localhost", challenge_ts: new Date().toISOString() }));
});
await new Promise((done) => siteverify.listen(port, "127.0.0.1", done));

if (screenshots) mkdirSync(screenshots, { recursive: true });
const browser = await chromium.launch(options);
const prepare = (context) =>
  context.route(`${TURNSTILE}/**`, (route) =>
    isReachable ? route.fulfill({ contentType: "text/javascript", body: STANDIN }) : route.fulfill({ status: 403, body: "" }),
  );
const setting = new Setting({ base, outbox, browser, screenshots, prepare, captcha: TURNSTILE });

const widgets = (view) => view.page.locator(".stand-in").filter({ visible: true });

/** A registration without the check is refused beside it, and sent once it is done. */
async function register(language, login) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/register");
  await widgets(view).waitFor();
  check((await widgets(view).getAttribute("data-language")) === language, "the widget is in another language");
  await view.look("captcha-register");
  await view.field("register.login").fill(login);
  await view.field("email").fill(`${login}@example.org`);
  await view.field("password").fill(PASSWORD);
  await view.button("register.submit").click();
  await view.seeText("error.captcha.unsolved");
  await view.look("captcha-unsolved");
  await widgets(view).click();
  await view.button("register.submit").click();
  await view.see("register.done_title", "captcha");
  await visitor.close();
}

/** The widget serves each try, and each token once. */
async function signIn(language, login) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/");
  await widgets(view).waitFor();
  await view.look("captcha-sign-in");
  await widgets(view).click();
  const before = verified.length;
  await view.refused("401 /v1/auth/login", async () => {
    await fillIn(view, login, "wrong");
    await view.seeText("error.auth.invalid_credentials");
  });
  await fillIn(view, login, PASSWORD);
  await view.seeText("error.captcha.unsolved");
  await widgets(view).click();
  await view.field("password").press("Enter");
  await view.arrive("/account");
  const tokens = verified.slice(before);
  check(new Set(tokens).size === tokens.length, `a token was sent twice: ${tokens}`);
  await visitor.close();
}

/** Another code needs another check, which the person is taken to. */
async function codeAgain(language, login) {
  const email = `${login}@example.org`;
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/");
  await view.button("sign_in.by_code").click();
  await view.field("email").fill(email);
  await widgets(view).waitFor();
  await view.look("captcha-code");
  await widgets(view).click();
  await view.button("code.send").click();
  await view.page.getByRole("heading", { name: view.texts["code.enter_title"], exact: true }).waitFor();
  await view.button("code.again").click();
  await view.seeText("error.captcha.unsolved");
  check((await view.field("email").inputValue()) === email, "the address has to be typed again");
  await view.look("captcha-code-again");
  await widgets(view).click();
  // So soon after the first one the server refuses it; what matters is that it was asked.
  await view.refused("429 /v1/auth/email/otp/send", async () => {
    await view.button("code.send").click();
    await view.page.getByText(view.texts["error.auth.otp_rate_limited"].split("{wait}")[0]).filter({ visible: true }).waitFor();
  });
  await visitor.close();
}

/** Turnstile's script runs where no token of a link is kept, and not at all where one is used. */
async function keepTokensAway(language, login) {
  const email = `${login}@example.org`;
  const visitor = new Visitor(setting, language);
  const asking = await visitor.open("/reset");
  await asking.field("email").fill(email);
  await widgets(asking).waitFor();
  await asking.look("captcha-reset");
  await widgets(asking).click();
  await asking.button("reset.send").click();
  await asking.see("reset.sent_title", "captcha");
  const links = [[setting.mailed(email, "/reset#token"), "reset.title"], [setting.mailed(email, "/verify#token"), "verify.question"]];
  for (const [link, heading] of links) {
    for (const next of ["/", "/register", "/reset"]) {
      const view = await visitor.open(link);
      await view.page.getByRole("heading", { name: view.texts[heading], exact: true }).waitFor();
      check((await view.page.evaluate(() => globalThis.found)) === undefined, `a foreign script at ${link.split("=")[0]}`);
      check((await view.page.evaluate(() => sessionStorage.length)) === 1, `no token is kept at ${link.split("=")[0]}`);
      await view.goto(next);
      await widgets(view).waitFor();
      const found = await view.page.evaluate(() => globalThis.found);
      check(found.length === 0, `a foreign script at ${next} finds ${found}`);
      await view.page.close();
    }
  }
  await visitor.close();
}

/** Without Turnstile's script the page says what to do. */
async function unloaded(language) {
  isReachable = false;
  const visitor = new Visitor(setting, language);
  visitor.expected.add("403 /turnstile/v0/api.js").add("failed /turnstile/v0/api.js");
  const view = await visitor.open("/");
  await view.seeText("error.captcha.unloaded");
  await view.look("captcha-unloaded");
  await visitor.close();
  isReachable = true;
}

try {
  for (const language of Object.keys(LANGUAGES)) {
    const login = `human-${language}`;
    await register(language, login);
    await signIn(language, login);
    await codeAgain(language, login);
    await keepTokensAway(language, login);
    await unloaded(language);
    console.log(`${language}: registered, signed in and asked for mails with a captcha`);
  }
} catch (error) {
  problems.add(error.stack);
} finally {
  await browser.close();
  siteverify.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.size === 0 ? 0 : 1);
