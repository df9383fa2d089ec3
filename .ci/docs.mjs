// Opens the API reference in a real browser in light and in dark colours, asks axe about it, and sends a request from it.
//
// Usage: CHROMIUM=… node docs.mjs BASE_URL SCREENSHOTS
// SCREENSHOTS is a directory, which gets light.png and dark.png.
import { violations } from "./axe.mjs";
import { chromium, options } from "./chromium.mjs";

const [base, screenshots] = process.argv.slice(2);
/** What axe finds and this project cannot change, by rule. */
const OF_SWAGGER_UI = { "nested-interactive": "its row of an operation is a button that holds a button which copies the path" };
/** Operations with everything that a form of the page can have: a body with examples, a path with a parameter. */
const OPENED = { "/v1/auth/register": "post", "/v1/auth/sessions/{id}": "delete" };
const BACKGROUNDS = { light: "rgba(0, 0, 0, 0)", dark: "rgb(28, 32, 34)" };
const problems = [];

const browser = await chromium.launch(options);

try {
  for (const colorScheme of ["light", "dark"]) await lookAt(colorScheme);
} finally {
  await browser.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);

async function lookAt(colorScheme) {
  const page = await open(colorScheme);
  if ((await page.title()) !== "arkloop API") problems.push(`title: ${await page.title()}`);
  for (const [path, method] of Object.entries(OPENED)) await tryOut(operationOf(page, path, method));
  await register(operationOf(page, "/v1/auth/register", "post"), colorScheme);
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: `${screenshots}/${colorScheme}.png`, fullPage: true });
  await judge(page, colorScheme);
  // The page follows the system while it is open.
  const other = colorScheme === "light" ? "dark" : "light";
  await page.emulateMedia({ colorScheme: other });
  await hasColours(page, other);
  await page.context().close();
}

async function open(colorScheme) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => problems.push(`console ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`page error: ${error.message}`));
  page.on("requestfailed", (request) => problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()}: ${response.url()}`);
  });
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    // The style sheet's icons are data: URLs.
    if (protocol !== "data:" && origin !== new URL(base).origin) problems.push(`another host: ${request.url()}`);
  });
  await page.goto(`${base}/docs`, { waitUntil: "networkidle" });
  await hasColours(page, colorScheme);
  return page;
}

async function hasColours(page, colorScheme) {
  const isThere = (colour) => getComputedStyle(document.documentElement).backgroundColor === colour;
  await page.waitForFunction(isThere, BACKGROUNDS[colorScheme]).catch(() => problems.push(`${colorScheme}: another background`));
}

function operationOf(page, path, method) {
  return page.locator(`.opblock-${method}`).filter({
    has: page.locator(`.opblock-summary-path[data-path="${path}"]`),
  });
}

async function tryOut(operation) {
  await operation.locator(".opblock-summary").click();
  await operation.getByRole("button", { name: "Try it out" }).click();
}

async function register(operation, colorScheme) {
  const login = `docs-${colorScheme}-${Date.now().toString(36)}`;
  await operation.getByRole("textbox", { name: "Request body" }).fill(
    JSON.stringify({ login, email: `${login}@example.org`, password: "a long and unusual one" }, null, 2),
  );
  await operation.getByRole("button", { name: "Execute" }).click();
  const status = operation.locator(".live-responses-table .response-col_status").nth(1);
  const shown = (await status.innerText()).trim();
  if (!shown.startsWith("201")) problems.push(`register answered ${shown}`);
  const body = await operation.locator(".live-responses-table .highlight-code").first().innerText();
  if (!body.includes("user_id")) problems.push(`register showed ${body}`);
  console.log(`${colorScheme}: register from /docs answered ${shown}`);
}

async function judge(page, colorScheme) {
  const found = await violations(page);
  for (const { id, places } of found) {
    if (!(id in OF_SWAGGER_UI)) problems.push(...places.map((place) => `${colorScheme}: ${id}: ${place}`));
  }
  for (const id of Object.keys(OF_SWAGGER_UI)) {
    if (!found.some((rule) => rule.id === id)) problems.push(`${colorScheme}: axe no longer finds ${id}: take it off the list`);
  }
}
