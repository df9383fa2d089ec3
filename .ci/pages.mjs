// Walks through the built-in pages in a real browser, in each language, with the links and codes of the mails.
//
// Usage: CHROMIUM=… node pages.mjs BASE_URL OUTBOX INVITE APP_PORT [SCREENSHOTS]
// INVITE has to be good for eleven registrations. The server lists http://localhost:APP_PORT. The accounts owner-en and owner-zh have had their
// verified addresses for more than 72 hours.
import { mkdirSync } from "node:fs";

import { chromium, options } from "./chromium.mjs";
import * as account from "./pages_account.mjs";
import * as entry from "./pages_entry.mjs";
import * as own from "./pages_own.mjs";
import * as back from "./pages_return.mjs";
import * as signIn from "./pages_sign_in.mjs";
import { measure } from "./pages_speed.mjs";
import { LANGUAGES, NEW_PASSWORD, PASSWORD, Setting, problems } from "./pages_view.mjs";

const PATHS = ["/", "/register", "/verify", "/reset", "/account"];
const [base, outbox, invite, port, screenshots] = process.argv.slice(2);

if (screenshots) mkdirSync(screenshots, { recursive: true });
const browser = await chromium.launch(options);
const app = await back.startApp(port);
const setting = new Setting({ base, outbox, browser, screenshots, invite, app: `http://localhost:${port}`, paths: PATHS });

async function walk(language) {
  const run = Date.now().toString(36);
  const login = `yes-${language}-${run}`;
  await entry.confirm(setting, language, login);
  await entry.reject(setting, language, `no-${language}-${run}`);
  await entry.switchLanguage(setting, language);
  await entry.dropLinks(setting, language);
  await entry.withoutScripts(setting, language);
  await entry.beforeScripts(setting, language);
  console.log(`${language}: registered, confirmed, rejected, without scripts and before they come`);
  await signIn.byPassword(setting, language, login, PASSWORD);
  await signIn.byCode(setting, language, login);
  await entry.reset(setting, language, login);
  console.log(`${language}: signed in by password and by code, set a password`);
  await back.goBack(setting, language, login);
  await back.refusedToTheEnd(setting, language, login, `new-${language}-${run}`);
  console.log(`${language}: went back to an app, and to no other one`);
  await account.signedOut(setting, language);
  const renamed = await account.profile(setting, language, login, NEW_PASSWORD);
  await account.password(setting, language, renamed, NEW_PASSWORD, PASSWORD);
  await account.sessions(setting, language, renamed, PASSWORD);
  await account.changeMeanwhile(setting, language, renamed, PASSWORD);
  console.log(`${language}: changed profile and password, ended sessions`);
  await own.changeNothing(setting, language, `owner-${language}`);
  console.log(`${language}: two changes of an address came to nothing`);
  const changed = await own.changeAddress(setting, language, `owner-${language}`);
  console.log(`${language}: changed an address and took it back`);
  await own.exportData(setting, language, `owner-${language}`, changed);
  await own.deleteAccount(setting, language, `owner-${language}`, changed);
  console.log(`${language}: exported and deleted an account`);
}

try {
  await measure(setting);
  // Beside each other: a walk waits more than it computes.
  for (const { reason } of await Promise.allSettled(Object.keys(LANGUAGES).map(walk))) if (reason) problems.add(reason.stack);
} catch (error) {
  // Together with what was seen before: it usually says why.
  problems.add(error.stack);
} finally {
  await browser.close();
  app.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.size === 0 ? 0 : 1);
