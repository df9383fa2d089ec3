// Opens the page of docs/integrate.md in two tabs of a real browser, signs in, and out.
//
// Usage: CHROMIUM=… node integrate.mjs DIRECTORY LOGIN PASSWORD
// DIRECTORY has the files of the page. The server lets http://localhost:5173 in.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { chromium, options } from "./chromium.mjs";

const [directory, login, password] = process.argv.slice(2);
const TYPES = { "/": ["index.html", "text/html"], "/app.js": ["app.js", "text/javascript"] };

const app = createServer(({ url }, answer) => {
  const [name, type] = TYPES[url] ?? [];
  if (!name) return answer.writeHead(404).end();
  answer.writeHead(200, { "content-type": type }).end(readFileSync(`${directory}/${name}`));
});
await new Promise((done) => app.listen(5173, "127.0.0.1", done));

const browser = await chromium.launch(options);
try {
  const context = await browser.newContext();
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    page.setDefaultTimeout(20_000);
    page.on("pageerror", (error) => assert.fail(error));
    await page.goto("http://localhost:5173/");
    await page.getByRole("button", { name: "Sign in" }).waitFor();
  }
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
} finally {
  await browser.close();
  app.close();
}
