// Walks through the built-in pages in a real browser, in each language, with the links from the mails.
//
// Usage: CHROMIUM=… node pages.mjs BASE_URL OUTBOX INVITE [SCREENSHOTS]
// INVITE has to be good for four registrations.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";

import { chromium, options } from "./chromium.mjs";

const [base, outbox, invite, screenshots] = process.argv.slice(2);
const LANGUAGES = { en: { locale: "en-GB", tag: "en" }, zh: { locale: "zh-CN", tag: "zh-Hans" } };
const PASSWORD = "a long and unusual one";
const NEW_PASSWORD = "another quite unusual one";
const problems = [];
/** Refusals that a step provokes: `status path`. The browser writes each to the console. */
const provoked = new Set();

function check(isRight, what) {
  if (!isRight) problems.push(what);
}

/** What the title of a page with this heading is: the name of the service, by default its host, goes on. */
function titled(heading) {
  return `${heading} · ${new URL(base).hostname}`;
}

function mailedLink(address, path, known = []) {
  const script = new URL("mailed_link.py", import.meta.url).pathname;
  const text = execFileSync("python3", [script, outbox, address, `${base}${path}#token=`, known.join(",")], { encoding: "utf8" });
  return text.trim();
}

async function api(path, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(base + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  return { status: response.status, body: await response.json().catch(() => null) };
}

function signIn(login, password) {
  return api("/v1/auth/login", { login, password });
}

/** One language, walked through in a browser profile of its own for each link, as if it were opened from the mail. */
class Walk {
  constructor(browser, language, texts) {
    Object.assign(this, { browser, language, texts, ...LANGUAGES[language] });
  }

  async open(path) {
    await this.page?.context().close();
    const context = await this.browser.newContext({ locale: this.locale, viewport: { width: 360, height: 740 }, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on("console", (message) => {
      const { url } = message.location();
      const status = /status of (\d+)/.exec(message.text())?.[1];
      const isProvoked = status && provoked.has(`${status} ${new URL(url).pathname}`);
      if (!isProvoked) problems.push(`console ${message.type()}: ${message.text()} (${url})`);
    });
    page.on("pageerror", (error) => problems.push(`page error: ${error.stack}`));
    page.on("requestfailed", (request) => problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
    page.on("response", (response) => {
      const answer = `${response.status()} ${new URL(response.url()).pathname}`;
      if (response.status() >= 400 && !provoked.has(answer)) problems.push(answer);
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== base) problems.push(`another host: ${request.url()}`);
    });
    this.page = page;
    const response = await page.goto(path.startsWith("http") ? path : base + path, { waitUntil: "networkidle" });
    const headers = response.headers();
    check(/^default-src 'none'; script-src 'self'; style-src 'self'; /.test(headers["content-security-policy"]), `${path}: policy`);
    check(headers["cross-origin-opener-policy"] === "same-origin", `${path}: opener policy`);
    check(headers["cache-control"] === "no-store", `${path}: cached`);
    check((await page.getAttribute("html", "lang")) === this.tag, `${path}: lang`);
    check(!page.url().includes("token"), `the token stays in the address: ${page.url()}`);
    check((await context.cookies()).length === 0, `${path}: a cookie without a click`);
  }

  button(key) {
    return this.page.getByRole("button", { name: this.texts[key], exact: true });
  }

  field(key) {
    return this.page.getByRole("textbox", { name: this.texts[key], exact: true });
  }

  /** Waits for the section with this heading, and looks at it in each width and colour scheme. */
  async see(key) {
    const { page } = this;
    await page.getByRole("heading", { level: 1, name: this.texts[key], exact: true }).waitFor();
    check((await page.title()) === titled(this.texts[key]), `title: ${await page.title()}`);
    for (const width of [320, 360, 1280]) {
      await page.setViewportSize({ width, height: 740 });
      const scrolled = await page.evaluate(() => document.documentElement.scrollWidth);
      check(scrolled <= width, `${key}: ${scrolled} px wide on a screen of ${width}`);
      for (const colorScheme of screenshots ? ["light", "dark"] : []) {
        await page.emulateMedia({ colorScheme });
        const path = `${screenshots}/${key}-${this.language}-${width}-${colorScheme}.png`;
        await page.screenshot({ path, fullPage: true });
      }
    }
  }

  async seeText(text) {
    await this.page.getByText(text).first().waitFor();
  }

  async register(login) {
    await this.open(`/register?invite=${invite}`);
    await this.see("register.title");
    check((await this.field("register.invite_code").inputValue()) === invite, "the invite is not filled in");

    provoked.add("422 /v1/auth/register");
    await this.field("register.login").fill(login);
    await this.field("password").fill("short");
    await this.button("register.submit").click();
    await this.seeText(this.texts["field.email.missing"]);
    await this.seeText(this.texts["field.too_short"].replace("{min}", "8"));
    const email = this.field("email");
    check(await email.evaluate((field) => field === document.activeElement), "the focus is not on the first bad field");
    const described = await email.evaluate((field) =>
      field.getAttribute("aria-describedby").split(" ").map((id) => document.getElementById(id).textContent).join(" "),
    );
    check(described.includes(this.texts["field.email.missing"]), `the field is described by: ${described}`);
    provoked.clear();

    await email.fill(`${login}@example.org`);
    await this.field("password").fill(PASSWORD);
    await this.page.keyboard.press("Enter");
    await this.see("register.done_title");
    await this.seeText(`${login}@example.org`);
    const link = mailedLink(`${login}@example.org`, "/verify");
    await this.previewTwice(link, login);
    return link;
  }

  /** Loads the link as a scanner does, with and without scripts; nobody clicks, so nothing changes. */
  async previewTwice(link, login) {
    const token = link.split("=")[1];
    for (const method of ["HEAD", "GET"]) {
      for (const address of [link, `${base}/verify?token=${token}`]) {
        check((await fetch(address, { method })).status === 200, `${method} ${address.split("=")[0]}`);
      }
    }
    await this.open(`${base}/verify?token=${token}`);
    await this.see("verify.question");
    const preview = await api("/v1/auth/email/verify/preview", { token });
    check(preview.status === 200 && preview.body.username === login, `preview: ${JSON.stringify(preview)}`);
    check(preview.body.email_verified === false, "verified without a click");
    await this.open(link);
    await this.see("verify.question");
    await this.page.getByText(login, { exact: true }).first().waitFor();
  }

  async confirm(login) {
    const link = await this.register(login);
    await this.button("verify.yes").press("Enter");
    await this.see("verify.confirmed_title");
    const { body } = await signIn(login, PASSWORD);
    const me = await api("/v1/me", undefined, body.access_token);
    check(me.body.email_verified === true, `not verified: ${JSON.stringify(me)}`);
    check(me.body.locale === this.language, `the language of mails is ${me.body.locale}`);
    await this.open(link);
    await this.see("verify.already_title");
  }

  async reject(login) {
    const link = await this.register(login);
    await this.button("verify.no").click();
    await this.see("verify.reject_question");
    await this.button("verify.back").click();
    await this.see("verify.question");
    check((await signIn(login, PASSWORD)).status === 200, "gone before the second click");
    await this.button("verify.no").click();
    await this.button("verify.reject").click();
    await this.see("verify.rejected_title");
    check((await signIn(login, PASSWORD)).status === 401, "the rejected account signs in");
    provoked.add("422 /v1/auth/email/verify/preview");
    await this.open(link);
    await this.see("verify.invalid_title");
    provoked.clear();
  }

  async reset(login) {
    await this.open("/reset");
    await this.see("reset.ask_title");
    await this.field("email").fill(`${login}@example.org`);
    await this.button("reset.send").click();
    await this.see("reset.sent_title");
    const link = mailedLink(`${login}@example.org`, "/reset");
    check((await fetch(link, { method: "HEAD" })).status === 200, "HEAD of the reset link");
    await this.open(link);
    await this.see("reset.title");
    await this.open(link.replace("#", "?"));
    const password = this.field("reset.new_password");
    await password.fill(NEW_PASSWORD);
    await this.button("password.show_label").click();
    check((await password.getAttribute("type")) === "text", "the password is not shown");
    await this.button("reset.submit").click();
    await this.see("reset.changed_title");
    check((await signIn(login, PASSWORD)).status === 401, "the old password still works");
    check((await signIn(login, NEW_PASSWORD)).status === 200, "the new password does not work");

    provoked.add("422 /v1/auth/password/reset/confirm");
    await this.open(link);
    await this.field("reset.new_password").fill(PASSWORD);
    await this.button("reset.submit").click();
    await this.see("reset.invalid_title");
    provoked.clear();
  }

  /** Without a link, and with the switch: what is shown is translated, and the next page of the tab too. */
  async switchLanguage(other) {
    await this.open("/verify");
    await this.see("verify.missing_title");
    await this.page.locator(`button[lang="${other.tag}"]`).click();
    check((await this.page.title()) === titled(other.texts["verify.missing_title"]), `switched: ${await this.page.title()}`);
    await this.page.goto(`${base}/reset`, { waitUntil: "networkidle" });
    check((await this.page.title()) === titled(other.texts["reset.ask_title"]), `kept: ${await this.page.title()}`);
    check((await this.page.context().cookies()).length === 0, "the choice of a language left a cookie");
  }
}

async function textsOf(language) {
  const source = await (await fetch(`${base}/pages/${language}.js`)).text();
  return (await import(`data:text/javascript,${encodeURIComponent(source)}`)).default;
}

if (screenshots) mkdirSync(screenshots, { recursive: true });
const browser = await chromium.launch(options);

try {
  const walks = {};
  for (const language of Object.keys(LANGUAGES)) walks[language] = new Walk(browser, language, await textsOf(language));
  const run = Date.now().toString(36);
  for (const [language, walk] of Object.entries(walks)) {
    await walk.confirm(`yes-${language}-${run}`);
    await walk.reject(`no-${language}-${run}`);
    await walk.reset(`yes-${language}-${run}`);
    await walk.switchLanguage(walks[language === "en" ? "zh" : "en"]);
    console.log(`${language}: registered, confirmed, rejected, set a password`);
  }
} catch (error) {
  // Together with what was seen before: it usually says why.
  problems.push(error.stack);
} finally {
  await browser.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
