// How long the pages take until they show something: figures to look at, and no test. Each is loaded in a new profile, then again in the same tab. The
// plain text of /healthz shows what the browser needs for itself.
import { PASSWORD } from "./pages_view.mjs";

const VISITS = 5;

/** Visits each page, and `/account` also signed in. */
export async function measure(setting) {
  const login = `fast-${Date.now().toString(36)}`;
  const fields = { login, email: `${login}@example.org`, password: PASSWORD, invite_code: setting.invite };
  const { status } = await setting.api("/v1/auth/register", fields);
  if (status !== 201) throw new Error(`register: ${status}`);
  const visits = [["/healthz", "/healthz"], ...setting.paths.map((path) => [path, path]), ["/account", "/account, signed in", login]];
  for (const [path, name, account] of visits) {
    const times = [];
    for (let visit = 0; visit < VISITS; visit++) times.push(await load(setting, path, account));
    const [first, again] = [0, 1].map((visit) => {
      const [painted, shown] = ["painted", "shown"].map((what) => median(times.map((loads) => loads[visit][what])));
      return `first contentful paint after ${painted} ms, the form or content after ${shown} ms`;
    });
    console.log(`${name}: in a new profile ${first}; again ${again}; medians of ${VISITS}`);
  }
}

/** The times of two loads in one tab. */
async function load(setting, path, account) {
  const context = await setting.browser.newContext({ locale: "en-GB" });
  if (account) {
    const data = { login: account, password: PASSWORD };
    const answer = await context.request.post(`${setting.base}/v1/auth/login`, { data });
    if (!answer.ok()) throw new Error(`login: ${answer.status()}`);
  }
  const page = await context.newPage();
  await page.addInitScript(() => {
    let waits = false;
    const look = new MutationObserver(() => {
      const loading = document.querySelector("#loading");
      waits ||= loading?.hidden === false;
      if (loading?.hidden !== true) return;
      look.disconnect();
      // What the page waited for is there after the frame in which it is painted; without waiting it is there with the first paint.
      if (waits) requestAnimationFrame(() => setTimeout(() => (globalThis.shownAt = performance.now())));
      else globalThis.shownAt = 0;
    });
    look.observe(document, { subtree: true, childList: true, attributeFilter: ["hidden"] });
  });
  const times = [];
  for (let visit = 0; visit < 2; visit++) {
    await page.goto(setting.base + path);
    await page.waitForFunction(() => {
      const isShown = globalThis.shownAt !== undefined || !document.querySelector("#loading");
      return isShown && performance.getEntriesByName("first-contentful-paint").length > 0;
    });
    times.push(
      await page.evaluate(() => {
        const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
        return { painted, shown: Math.max(painted, globalThis.shownAt ?? 0) };
      }),
    );
  }
  await context.close();
  return times;
}

function median(times) {
  return Math.round([...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]);
}
