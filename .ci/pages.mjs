// Walks through the built-in pages in a real browser, in each language, with the links and codes of the mails.
//
// Usage: CHROMIUM=… node pages.mjs BASE_URL OUTBOX INVITE APP_PORT [SCREENSHOTS]
// INVITE has to be good for six registrations. The server lists http://localhost:APP_PORT. The accounts owner-en and owner-zh have had their
// verified addresses for more than 72 hours.
import { mkdirSync } from "node:fs";

import { chromium, options } from "./chromium.mjs";
import * as account from "./pages_account.mjs";
import * as entry from "./pages_entry.mjs";
import * as own from "./pages_own.mjs";
import * as signIn from "./pages_sign_in.mjs";
import { LANGUAGES, NEW_PASSWORD, PASSWORD, Setting, problems } from "./pages_view.mjs";

const PATHS = ["/", "/register", "/verify", "/reset", "/account"];
const [base, outbox, invite, port, screenshots] = process.argv.slice(2);

if (screenshots) mkdirSync(screenshots, { recursive: true });
const browser = await chromium.launch(options);
const app = await signIn.startApp(port);
const setting = new Setting({ base, outbox, browser, screenshots, invite, app: `http://localhost:${port}`, paths: PATHS });

async function walk(language) {
  const run = Date.now().toString(36);
  const login = `yes-${language}-${run}`;
  await entry.confirm(setting, language, login);
  await entry.reject(setting, language, `no-${language}-${run}`);
  await entry.switchLanguage(setting, language);
  await entry.withoutScripts(setting, language);
  console.log(`${language}: registered, confirmed, rejected, without scripts`);
  await signIn.byPassword(setting, language, login, PASSWORD);
  await signIn.byCode(setting, language, login);
  await entry.reset(setting, language, login);
  await signIn.goBack(setting, language, login);
  console.log(`${language}: signed in by password and by code, set a password, went back to an app`);
  await account.signedOut(setting, language);
  const renamed = await account.profile(setting, language, login, NEW_PASSWORD);
  await account.password(setting, language, renamed, NEW_PASSWORD, PASSWORD);
  await account.sessions(setting, language, renamed, PASSWORD);
  console.log(`${language}: changed profile and password, ended sessions`);
  await own.changeNothing(setting, language, `owner-${language}`);
  console.log(`${language}: two changes of an address came to nothing`);
  const changed = await own.changeAddress(setting, language, `owner-${language}`);
  console.log(`${language}: changed an address and took it back`);
  await own.exportData(setting, language, `owner-${language}`, changed);
  await own.deleteAccount(setting, language, `owner-${language}`, changed);
  console.log(`${language}: exported and deleted an account`);
}

/** How long each page takes until it shows something: a figure to look at, and no test. */
async function measure() {
  const page = await browser.newPage({ locale: "en-GB" });
  for (const path of PATHS) {
    const times = [];
    for (let visit = 0; visit < 5; visit++) {
      await page.goto(base + path, { waitUntil: "networkidle" });
      times.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime));
    }
    times.sort((a, b) => a - b);
    console.log(`${path}: first contentful paint after ${Math.round(times[2])} ms, the median of 5`);
  }
  await page.context().close();
}

try {
  await measure();
  for (const language of Object.keys(LANGUAGES)) await walk(language);
} catch (error) {
  // Together with what was seen before: it usually says why.
  problems.add(error.stack);
} finally {
  await browser.close();
  app.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.size === 0 ? 0 : 1);
