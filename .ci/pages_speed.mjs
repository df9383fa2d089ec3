// How long the pages take until they show something: figures to look at, and no test.
import { PASSWORD } from "./pages_view.mjs";

const VISITS = 5;

/** Visits each page with nothing in the browser's cache, and `/account` also signed in. */
export async function measure(setting) {
  const login = `fast-${Date.now().toString(36)}`;
  const fields = { login, email: `${login}@example.org`, password: PASSWORD, invite_code: setting.invite };
  const { status } = await setting.api("/v1/auth/register", fields);
  if (status !== 201) throw new Error(`register: ${status}`);
  const visits = [...setting.paths.map((path) => [path, path]), ["/account", "/account, signed in", login]];
  for (const [path, name, account] of visits) {
    const times = [];
    for (let visit = 0; visit < VISITS; visit++) times.push(await load(setting, path, account));
    const [painted, shown] = ["painted", "shown"].map((what) => median(times.map((time) => time[what])));
    console.log(`${name}: first contentful paint after ${painted} ms, the form or content after ${shown} ms, the median of ${VISITS}`);
  }
}

async function load(setting, path, account) {
  const context = await setting.browser.newContext({ locale: "en-GB" });
  if (account) {
    const data = { login: account, password: PASSWORD };
    const answer = await context.request.post(`${setting.base}/v1/auth/login`, { data });
    if (!answer.ok()) throw new Error(`login: ${answer.status()}`);
  }
  const page = await context.newPage();
  await page.addInitScript(() => {
    const look = new MutationObserver(() => {
      if (document.querySelector("#loading")?.hidden !== true) return;
      look.disconnect();
      // After the frame in which it is painted.
      requestAnimationFrame(() => setTimeout(() => (globalThis.shownAt = performance.now())));
    });
    look.observe(document, { subtree: true, childList: true, attributeFilter: ["hidden"] });
  });
  await page.goto(setting.base + path);
  await page.waitForFunction(() => globalThis.shownAt && performance.getEntriesByName("first-contentful-paint").length > 0);
  const time = await page.evaluate(() => ({
    painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
    shown: globalThis.shownAt,
  }));
  await context.close();
  return time;
}

function median(times) {
  return Math.round([...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]);
}
