// Opens the pages of docs/integrate.md in a real browser: signs in and out by the form of the first one in two tabs, and from the second one by
// the server's own pages.
//
// Usage: CHROMIUM=… node integrate.mjs DIRECTORY LOGIN PASSWORD
// DIRECTORY has the files of the pages. The server at http://localhost:8080 lists http://localhost:5173.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { chromium, options } from "./chromium.mjs";

const [directory, login, password] = process.argv.slice(2);
const TYPES = {
  "/": ["index.html", "text/html"],
  "/app.js": ["app.js", "text/javascript"],
  "/welcome.html": ["welcome.html", "text/html"],
  "/welcome.js": ["welcome.js", "text/javascript"],
};

const app = createServer(({ url }, answer) => {
  const [name, type] = TYPES[new URL(url, "http://localhost:5173").pathname] ?? [];
  if (!name) return answer.writeHead(404).end();
  answer.writeHead(200, { "content-type": type }).end(readFileSync(`${directory}/${name}`));
});
await new Promise((done) => app.listen(5173, "127.0.0.1", done));

const browser = await chromium.launch(options);
try {
  await useOwnForm(await browser.newContext());
  await useSignInPage(await browser.newContext({ locale: "en-GB" }));
} finally {
  await browser.close();
  app.close();
}

async function open(context, path) {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(`http://localhost:5173${path}`);
  return page;
}

async function useOwnForm(context) {
  const pages = [await open(context, "/"), await open(context, "/")];
  for (const page of pages) await page.getByRole("button", { name: "Sign in" }).waitFor();
  const [first, second] = pages;
  await first.getByPlaceholder("Username").fill(login);
  await first.getByPlaceholder("Password").fill("not the password");
  await first.getByRole("button", { name: "Sign in" }).click();
  await first.waitForFunction(() => document.querySelector("#message").textContent !== "");
  await first.getByPlaceholder("Password").fill(password);
  await first.getByRole("button", { name: "Sign in" }).click();
  for (const page of pages) await page.getByText(login, { exact: true }).waitFor();
  await first.reload();
  await first.getByText(login, { exact: true }).waitFor();
  await second.getByRole("button", { name: "Sign out" }).click();
  for (const page of pages) await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal((await context.cookies("http://localhost:8080/v1/auth")).length, 0);
}

/** To the server's pages and back: by a registration, which ends with a button, and by a sign-in. Then a sign-out without a network, and one in another tab. */
async function useSignInPage(context) {
  const address = "/welcome.html?x=1#place";
  const page = await open(context, address);
  const welcome = page.getByRole("button", { name: "Sign out" });
  // A link shows the page before its scripts have come, and the page sends no form without them.
  const send = async () => {
    await page.waitForFunction(() => !document.querySelector(":disabled"));
    await page.keyboard.press("Enter");
  };
  const arrive = async () => {
    await page.waitForURL(`http://localhost:5173${address}`);
    await welcome.waitFor();
  };
  await page.getByRole("link", { name: "create an account" }).click();
  await page.getByRole("textbox", { name: "Username" }).fill("newcomer");
  await page.getByRole("textbox", { name: "E-mail address" }).fill("newcomer@example.org");
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await send();
  await page.getByRole("button", { name: "Go on to localhost:5173" }).click();
  await arrive();
  await page.getByText("Hello newcomer").waitFor();
  await welcome.click();
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("textbox", { name: "Username or e-mail address" }).fill(login);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await send();
  await arrive();
  await page.getByText(`Hello ${login}`).waitFor();
  await context.setOffline(true);
  await welcome.click();
  await page.waitForFunction(() => document.querySelector("#message").textContent !== "");
  await context.setOffline(false);
  const other = await open(context, address);
  await other.getByRole("button", { name: "Sign out" }).click();
  for (const tab of [page, other]) await tab.getByRole("link", { name: "Sign in" }).waitFor();
  assert.equal(await page.locator("#message").textContent(), "");
}
