// Takes the pictures of pages for README.md.
//
// Usage: CHROMIUM=… node pictures.mjs BASE_URL OUTBOX DIRECTORY
import { execFileSync } from "node:child_process";

import { chromium, options } from "./chromium.mjs";

const [base, outbox, directory] = process.argv.slice(2);
const ACCOUNT = { login: "alice", password: "seven purple lanterns" };
const EMAIL = "alice@example.org";
/** Where alice is signed in, by networks that are kept for examples (RFC 5737). */
const PHONE = {
  "x-forwarded-for": "198.51.100.7",
  "user-agent":
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
};
const SCRIPT = { "x-forwarded-for": "203.0.113.20", "user-agent": "curl/8.14.1" };
const HOME = { "x-forwarded-for": "203.0.113.20" };

async function post(path, body, headers, status) {
  const response = await fetch(base + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  if (response.status !== status) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

async function prepare() {
  await post("/v1/auth/register", { ...ACCOUNT, email: EMAIL }, PHONE, 201);
  const script = new URL("mailed_link.py", import.meta.url).pathname;
  const link = execFileSync("python3", [script, outbox, EMAIL, `${base}/verify#token=`], { encoding: "utf8" }).trim();
  await post("/v1/auth/email/verify/confirm", { token: link.split("=")[1] }, PHONE, 200);
  await post("/v1/auth/login", ACCOUNT, SCRIPT, 200);
}

/** What `explain` is to explain: a caller elsewhere who guesses, until the next guess has to wait. */
async function guess() {
  const headers = { "x-forwarded-for": "192.0.2.44" };
  const tries = (count, status) => Array.from({ length: count }, () => ["/v1/auth/login", { ...ACCOUNT, password: "wrong" }, headers, status]);
  for (const request of [...tries(5, 401), ...tries(1, 429)]) await post(...request);
}

async function open(browser, path, size, colorScheme, context) {
  context ??= await browser.newContext({ locale: "en-GB", timezoneId: "Europe/Berlin", reducedMotion: "reduce", extraHTTPHeaders: HOME });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const [width, height] = size;
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme });
  await page.goto(base + path, { waitUntil: "networkidle" });
  return page;
}

async function signIn(browser) {
  const page = await open(browser, "/", [640, 560], "light");
  await page.screenshot({ path: `${directory}/sign-in.png` });
  await page.locator("#login").fill(ACCOUNT.login);
  await page.locator("#password").fill(ACCOUNT.password);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${base}/account`);
  return page.context();
}

async function showAccount(browser, context) {
  for (const [name, size, colorScheme] of [
    ["account-light", [640, 1000], "light"],
    ["account-dark", [640, 1000], "dark"],
    ["account-phone", [390, 844], "light"],
  ]) {
    const page = await open(browser, "/account", size, colorScheme, context);
    await page.locator("#sessions li").first().waitFor();
    // Without the focus on the heading, as a person sees it who has scrolled.
    await page.evaluate(() => document.activeElement.blur());
    if (name === "account-phone") await page.locator("#sessions-title").evaluate((title) => title.parentElement.scrollIntoView());
    await page.screenshot({ path: `${directory}/${name}.png` });
    await page.close();
  }
}

async function showDocs(browser) {
  const page = await open(browser, "/docs", [1024, 800], "light");
  const operation = page.locator(".opblock-post").filter({ has: page.locator('[data-path="/v1/auth/register"]') });
  await operation.locator(".opblock-summary").click();
  await operation.evaluate((node) => node.scrollIntoView());
  await page.waitForTimeout(500);
  await page.screenshot({ path: `${directory}/docs.png` });
}

const browser = await chromium.launch(options);
try {
  await prepare();
  const context = await signIn(browser);
  await showAccount(browser, context);
  await showDocs(browser);
  await guess();
} finally {
  await browser.close();
}
