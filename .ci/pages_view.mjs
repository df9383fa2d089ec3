// What the steps of .ci/pages.mjs see: pages in browser profiles of one language, which are looked at in each width and colour scheme.
import { execFileSync } from "node:child_process";

import { violations } from "./axe.mjs";

export const LANGUAGES = { en: { locale: "en-GB", tag: "en" }, zh: { locale: "zh-CN", tag: "zh-Hans" } };
export const PASSWORD = "a long and unusual one";
export const NEW_PASSWORD = "another quite unusual one";
const WIDTHS = [1280, 320];
const SCHEMES = ["dark", "light"];
/** What the scripts of each page say, by the ends of the files' names. */
const TEXTS = {
  "/": ["common", "entry", "sign_in"],
  "/register": ["common", "entry", "register"],
  "/verify": ["common"],
  "/reset": ["common", "entry", "reset"],
  "/account": ["common", "account", "address"],
};
/** Each page that is opened without a session asks for one, and a page that is left at once may not have its icon yet. */
const EXPECTED = ["401 /v1/auth/refresh", "failed /pages/icon.svg"];

export const problems = new Set();

export function check(isRight, what) {
  if (!isRight) problems.add(what);
}

/** Everything that the steps need to know of the server and the browser. */
export class Setting {
  constructor({ base, outbox, browser, screenshots, ...rest }) {
    Object.assign(this, { base, outbox, browser, screenshots, ...rest });
  }

  /** The newest link of a mail to `address` that begins with `path`, or the code of one. */
  mailed(address, path, known = []) {
    const script = new URL("mailed_link.py", import.meta.url).pathname;
    const beginning = path === "code" ? path : `${this.base}${path}=`;
    return execFileSync("python3", [script, this.outbox, address, beginning, known.join(",")], { encoding: "utf8" }).trim();
  }

  async api(path, body, token) {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const response = await fetch(this.base + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json().catch(() => null) };
  }

  signIn(login, password) {
    return this.api("/v1/auth/login", { login, password });
  }

  /** What `/v1/me` tells of an account. */
  async me(login, password) {
    const { body } = await this.signIn(login, password);
    return (await this.api("/v1/me", undefined, body.access_token)).body;
  }

  async textsOf(language, path) {
    this.texts ??= {};
    const load = async (file) => {
      const response = await fetch(`${this.base}/pages/${language}${file}`);
      if (!response.ok) throw new Error(`${file}: ${response.status}`);
      return response.text();
    };
    const said = async (part) => (await import(`data:text/javascript,${encodeURIComponent(await load(`-${part}.js`))}`)).default;
    const written = async () => JSON.parse(await load(".json"));
    return (this.texts[`${language} ${path}`] ??= Object.assign({}, ...(await Promise.all([written(), ...TEXTS[path].map(said)]))));
  }
}

/** A browser profile with nothing in it. */
export class Visitor {
  constructor(setting, language, options = {}) {
    Object.assign(this, { setting, language, options, ...LANGUAGES[language], expected: new Set(EXPECTED) });
  }

  async open(path) {
    const { browser } = this.setting;
    const { locale, options } = this;
    this.context ??= await browser.newContext({ locale, viewport: { width: 320, height: 740 }, reducedMotion: "reduce", ...options });
    await this.setting.prepare?.(this.context);
    const page = await this.context.newPage();
    page.setDefaultTimeout(20_000);
    this.watch(page);
    const view = new View(this, page);
    await view.goto(path);
    return view;
  }

  /** Opens a link of a mail in a profile of its own, and expects that this alone leaves no cookie there. */
  static async openLink(setting, language, path) {
    const visitor = new Visitor(setting, language);
    const view = await visitor.open(path);
    check((await visitor.context.cookies()).length === 0, `${path.split("=")[0]}: a cookie without a click`);
    return view;
  }

  async close() {
    await this.context?.close();
  }

  isExpected(answer) {
    return this.expected.has(answer);
  }

  watch(page) {
    const { base } = this.setting;
    page.on("console", (message) => {
      const { url } = message.location();
      const status = /status of (\d+)/.exec(message.text())?.[1];
      const isExpected = status && this.isExpected(`${status} ${new URL(url).pathname}`);
      if (!isExpected) problems.add(`console ${message.type()}: ${message.text()} (${url})`);
    });
    page.on("pageerror", (error) => problems.add(`page error: ${error.stack}`));
    // With scripts off, scripts are not loaded.
    const hasScripts = this.options.javaScriptEnabled !== false;
    page.on("requestfailed", (request) => {
      const isExpected = !hasScripts || this.isExpected(`failed ${new URL(request.url()).pathname}`);
      if (!isExpected) problems.add(`failed: ${request.url()} ${request.failure()?.errorText}`);
    });
    page.on("response", (response) => {
      const answer = `${response.status()} ${new URL(response.url()).pathname}`;
      if (response.status() >= 400 && !this.isExpected(answer)) problems.add(answer);
    });
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      const isOwn = protocol === "blob:" || [base, this.setting.app, this.setting.captcha].includes(origin);
      check(isOwn, `another host: ${request.url()}`);
      check(!request.headers().referer, `a referrer goes to ${request.url()}: ${request.headers().referer}`);
    });
  }
}

/** One tab of a visitor. */
export class View {
  constructor(visitor, page) {
    Object.assign(this, { visitor, page, setting: visitor.setting, language: visitor.language });
  }

  async goto(address) {
    const { setting, page, visitor } = this;
    const url = new URL(address, setting.base);
    this.texts = await setting.textsOf(this.language, url.pathname);
    const response = await page.goto(url.href, { waitUntil: "networkidle" });
    const headers = response.headers();
    const path = url.pathname;
    const policy = headers["content-security-policy"].replaceAll(` ${setting.captcha}`, "").replace("frame-src; ", "");
    check(/^default-src 'none'; script-src 'self'; style-src 'sha256-[^']+'; img-src/.test(policy), `${path}: policy`);
    check(headers["referrer-policy"] === "no-referrer", `${path}: referrer policy`);
    check(headers["cross-origin-opener-policy"] === "same-origin", `${path}: opener policy`);
    check(headers["cache-control"] === "no-store", `${path}: cached`);
    check((await page.getAttribute("html", "lang")) === visitor.tag, `${path}: lang`);
    await this.keepsNoToken();
  }

  /** No token of a link stands in the address, nor in what Back goes to, nor does the tab keep one of another page. */
  async keepsNoToken() {
    const session = await this.page.context().newCDPSession(this.page);
    const { entries } = await session.send("Page.getNavigationHistory");
    await session.detach();
    for (const { url } of entries) check(!/(token|change|undo)=/.test(url), `a token stays in the history: ${url}`);
    const { own, kept } = await this.page.evaluate(() => ({ own: `link ${location.pathname}`, kept: Object.keys(sessionStorage) }));
    for (const key of kept) check(key === own || key === "language", `${this.page.url()} finds in the tab: ${key}`);
  }

  /** The text of a key. With `undefined` as a name, Playwright would find any element of the role. */
  text(key) {
    const text = this.texts[key];
    if (text === undefined) throw new Error(`no text ${key}`);
    return text;
  }

  button(key) {
    return this.page.getByRole("button", { name: this.text(key), exact: true });
  }

  field(key) {
    return this.page.getByRole("textbox", { name: this.text(key), exact: true });
  }

  link(key) {
    return this.page.getByRole("link", { name: this.text(key), exact: true });
  }

  /** The texts of another page, which a click has led to. */
  async arrive(path) {
    await this.page.waitForURL((url) => url.pathname === path && url.origin === this.setting.base);
    this.texts = await this.setting.textsOf(this.language, path);
  }

  /** Waits for the section with this heading and looks at it; `state` tells apart what has the same heading. */
  async see(key, state = "") {
    const heading = this.page.getByRole("heading", { level: 1, name: this.text(key), exact: true });
    await heading.filter({ visible: true }).waitFor();
    const title = await this.page.title();
    check(title === `${this.text(key)} · ${new URL(this.setting.base).hostname}`, `title: ${title}`);
    await this.look(`${key}${state && `-${state}`}`);
  }

  /** In each width and colour scheme: nothing is wider than the screen, axe finds nothing, and a screenshot. */
  async look(name) {
    const { page, language } = this;
    const { screenshots } = this.setting;
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 740 });
      const scrolled = await page.evaluate(() => document.documentElement.scrollWidth);
      check(scrolled <= width, `${name} ${language}: ${scrolled} px wide on a screen of ${width}`);
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        const what = `${name}-${language}-${width}-${colorScheme}`;
        if (screenshots) await page.screenshot({ path: `${screenshots}/${what}.png`, fullPage: true });
        for (const { id, places } of await violations(page)) check(false, `${what}: axe: ${id}: ${places.join("; ")}`);
      }
    }
  }

  /** Waits until a text stands there, with what fills its gaps. */
  async seeText(key, gaps = {}) {
    const text = this.text(key).replace(/\{(\w+)\}/g, (_, name) => gaps[name]);
    await this.page.getByText(text, { exact: true }).filter({ visible: true }).first().waitFor();
  }

  /** Does what the server refuses: `status path` is expected until `task` is over. */
  async refused(answer, task) {
    this.visitor.expected.add(answer);
    await task();
    // The browser writes its note after the answer.
    await this.page.waitForTimeout(100);
    this.visitor.expected.delete(answer);
  }
}
