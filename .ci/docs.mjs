// Opens the API reference in a real browser and sends a request from it.
//
// Usage: CHROMIUM=… node docs.mjs BASE_URL SCREENSHOT.png
import { chromium, options } from "./chromium.mjs";

const [base, screenshot] = process.argv.slice(2);
const problems = [];

const browser = await chromium.launch(options);

try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
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
  if ((await page.title()) !== "arkloop API") problems.push(`title: ${await page.title()}`);

  const operation = page.locator(".opblock").filter({
    has: page.locator('.opblock-summary-path[data-path="/v1/auth/register"]'),
  });
  await operation.locator(".opblock-summary").click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  const login = `docs-${Date.now().toString(36)}`;
  await operation.locator("textarea.body-param__text").fill(
    JSON.stringify({ login, email: `${login}@example.org`, password: "a long and unusual one" }, null, 2),
  );
  await operation.getByRole("button", { name: "Execute" }).click();

  const status = operation.locator(".live-responses-table .response-col_status").nth(1);
  const shown = (await status.innerText()).trim();
  if (!shown.startsWith("201")) problems.push(`register answered ${shown}`);
  const body = await operation.locator(".live-responses-table .highlight-code").first().innerText();
  if (!body.includes("user_id")) problems.push(`register showed ${body}`);

  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: screenshot, fullPage: true });
  console.log(`register from /docs answered ${shown}; screenshot: ${screenshot}`);
} finally {
  await browser.close();
}

for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
