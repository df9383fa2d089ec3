// Many tabs of /account in a real browser, with access tokens of a few seconds: no tab is signed out, also not one whose network was cut off.
//
// Usage: CHROMIUM=… node tabs_pages.mjs BASE_URL
import { chromium, options } from "./chromium.mjs";

const [base] = process.argv.slice(2);
const PASSWORD = "a long and unusual one";
const MINUTE = 60_000;
/** From when to when, within the minute, the first tab has no network. */
const CUT = [20_000, 40_000];
/** That of the registration and that of the browser: a tab that was signed out and in again would have one more. */
const SESSIONS = 2;
const problems = new Set();
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const login = `tabs-${Date.now().toString(36)}`;
const registered = await fetch(`${base}/v1/auth/register`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ login, email: `${login}@example.org`, password: PASSWORD }),
});
if (registered.status !== 201) throw new Error(`register: ${registered.status}`);

const browser = await chromium.launch(options);
try {
  const context = await browser.newContext({ locale: "en-GB" });
  const first = await open(context, "/");
  await first.locator("#login").fill(login);
  await first.locator("#password").fill(PASSWORD);
  await first.keyboard.press("Enter");
  await first.waitForURL(`${base}/account`);
  for (const count of [2, 10]) {
    const tabs = await Promise.all(Array.from({ length: count }, () => open(context, "/account")));
    await workFor(MINUTE, tabs);
    for (const tab of tabs) await expectAccount(tab, `${count} tabs`);
    const sessions = await tabs[0].locator("#sessions li").count();
    if (sessions !== SESSIONS) problems.add(`${count} tabs: ${sessions} sessions in the list`);
    for (const tab of tabs) await tab.close();
    console.log(`${count} tabs for a minute, one of them cut off for ${(CUT[1] - CUT[0]) / 1000} s`);
  }
} catch (error) {
  problems.add(error.stack);
} finally {
  await browser.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.size === 0 ? 0 : 1);

async function open(context, path) {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => problems.add(`page error: ${error.stack}`));
  page.on("response", (response) => {
    const answer = `${response.status()} ${new URL(response.url()).pathname}`;
    // An access token may end on its way; without a session there is none to continue.
    const isExpected = response.status() === 401 && (path === "/" || !answer.endsWith("/refresh"));
    if (response.status() >= 400 && !isExpected) problems.add(answer);
  });
  await page.goto(base + path, { waitUntil: "load" });
  await page.locator("#loading").waitFor({ state: "hidden" });
  return page;
}

/** Every tab saves its profile about once a second. */
async function workFor(duration, tabs) {
  const connection = await tabs[0].context().newCDPSession(tabs[0]);
  await connection.send("Network.enable");
  const cut = (offline) =>
    connection.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  const begin = Date.now();
  let isCut = false;
  while (Date.now() - begin < duration) {
    const passed = Date.now() - begin;
    const shouldBeCut = passed >= CUT[0] && passed < CUT[1];
    if (shouldBeCut !== isCut) await cut((isCut = shouldBeCut));
    await Promise.all(tabs.map((tab) => save(tab)));
    await pause(900);
  }
  await connection.detach();
}

/** Changes the language of mails back and forth. */
async function save(tab) {
  const locale = tab.locator("#locale");
  if (!(await locale.isVisible())) return;
  await locale.selectOption((await locale.inputValue()) === "en" ? "zh" : "en");
  await tab.locator("#profile [type=submit]").click();
}

/** The tab shows the account, and the server still takes its requests. */
async function expectAccount(tab, what) {
  if (!(await tab.locator("#account").isVisible())) {
    problems.add(`${what}: instead of the account: ${(await tab.locator("main").innerText()).slice(0, 80)}`);
    return;
  }
  await tab.waitForFunction(() => !document.querySelector("[aria-disabled]"));
  // A token that ends on its way is 401 first.
  const isSaved = (response) => response.url().endsWith("/v1/me") && response.request().method() === "PATCH" && response.ok();
  const saved = tab.waitForResponse(isSaved).catch(() => problems.add(`${what}: nothing was saved`));
  await save(tab);
  await saved;
}
