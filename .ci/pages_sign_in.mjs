// The steps of .ci/pages.mjs at /: signing in by password and by a mailed code, and going back to an app.
import { createServer } from "node:http";

import { NEW_PASSWORD, Visitor, check } from "./pages_view.mjs";

/** Values of `return_to` that must lead nowhere; `app` is an origin that the server lists, `host` its host and port. */
const hostile = (app, host) => [
  ...["//evil.example", "///evil.example", "\\\\evil.example", "/\\evil.example", "/account", "x", ""],
  ...["https:evil.example", "https:/evil.example", "https:\\\\evil.example", "https://evil.example", " https://evil.example"],
  ...[`http://${host}@evil.example/`, `http://${host}:80@evil.example`, `http://user:pw@${host}/`, `http://@${host}/`],
  ...[`http://evil.example#${app}`, `http://evil.example?${app}`, `${app}.evil.example/`, `${app}0/`, `${app}\\@evil.example`],
  ...[`${app}%2eevil.example/`, `${app}%40evil.example/`, app.replace(/:(\d+)$/, "%3A$1"), app.replace("http", "https")],
  ...["javascript:alert(1)", `javascript://${host}/%0aalert(1)`, `JavaScript://${host}/%0Aalert(1)`, "vbscript:x", "about:blank"],
  ...["data:text/html,x", `blob:${app}/x`, "file:///etc/passwd", `view-source:${app}/`, `filesystem:${app}/x`],
  ...[`\t${app}/`, ` ${app}/`, `${app}/\n`, `ht\ntp://${host}/`, `${app}/\u0000`, `${app}/\u202e`, `${app}/<script>`],
  ...[app.replace("localhost", "ⅼocalhost"), app.replace("localhost", "localhost。evil"), app.replace("localhost", "LOCALHOST.")],
  ...[app.replace("localhost", "127.0.0.1"), app.replace("localhost", "[::1]"), app.replace("localhost", "xn--localhost-")],
  ...["https://app.example.org:443/", "https://app.example.org./", "https://xn--app-.example.org"],
  ...["intent://app.example.org#Intent;scheme=https;end", `${app}/${"x".repeat(2000)}`],
];

/** An app on an origin of its own, which shows where people come back to. */
export async function startApp(port) {
  const app = createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><link rel="icon" href="data:,"><title>An app</title>');
  });
  await new Promise((done) => app.listen(port, "127.0.0.1", done));
  return app;
}

/** Fills the form in and sends it. */
export async function fillIn(view, login, password) {
  await view.field("sign_in.login").fill(login);
  await view.field("password").fill(password);
  await view.page.keyboard.press("Enter");
}

/** Wrong passwords until the server makes the next one wait, the end of the wait, and the right one. Gives the page of the account. */
export async function byPassword(setting, language, login, password) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/");
  await view.see("sign_in.title");
  const focused = view.field("sign_in.login");
  check(await focused.evaluate((field) => field === document.activeElement), "the focus is not on the first field");

  visitor.expected.add("401 /v1/auth/login").add("429 /v1/auth/login");
  const wait = view.page.getByText(view.texts["error.rate_limit.exceeded"].split("{wait}")[0]).filter({ visible: true });
  let isWaiting = false;
  for (let tries = 0; tries < 12 && !isWaiting; tries++) {
    await fillIn(view, login, `wrong ${tries}`);
    await view.page.waitForFunction(() => !document.querySelector("[aria-disabled]"));
    if (tries === 0) {
      await view.seeText("error.auth.invalid_credentials");
      await view.look("sign-in-wrong");
    }
    isWaiting = (await wait.count()) > 0;
  }
  check(isWaiting, "wrong passwords make the next one wait, and nothing says so");
  if (setting.screenshots) await view.page.screenshot({ path: `${setting.screenshots}/sign-in-wait-${language}.png`, fullPage: true });
  await view.seeText("error.over");

  await fillIn(view, login, password);
  await view.arrive("/account");
  await view.page.getByRole("heading", { name: view.texts["account.title"], exact: true }).waitFor();
  // Back does not lead to the form.
  await view.page.goBack();
  check(!view.page.url().startsWith(`${setting.base}/?`) && view.page.url() !== `${setting.base}/`, `back: ${view.page.url()}`);
  await visitor.close();
}

export async function byCode(setting, language, login) {
  const email = `${login}@example.org`;
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/");
  await view.field("sign_in.login").fill(email);
  await view.button("sign_in.by_code").click();
  await view.see("code.title");
  check((await view.field("email").inputValue()) === email, "the address is not carried over");
  await view.button("code.send").click();
  await view.see("code.enter_title");
  const code = setting.mailed(email, "code");

  const field = view.field("code.otp");
  await field.fill(code === "000000" ? "000001" : "000000");
  await view.refused("422 /v1/auth/email/otp/verify", async () => {
    await view.page.keyboard.press("Enter");
    await view.seeText("error.auth.otp_invalid");
  });
  await view.look("code-wrong");
  await view.refused("429 /v1/auth/email/otp/send", async () => {
    await view.button("code.again").click();
    await view.page.getByText(view.texts["error.auth.otp_rate_limited"].split("{wait}")[0]).filter({ visible: true }).waitFor();
  });
  await view.look("code-too-soon");

  // As people type it.
  await field.fill(`${code.slice(0, 3)} ${code.slice(3)}`);
  await view.page.keyboard.press("Enter");
  await view.arrive("/account");
  await view.page.getByRole("heading", { name: view.texts["account.title"], exact: true }).waitFor();
  await visitor.close();
}

/** To a listed app and back by one sign-in; from there on with a click. */
export async function goBack(setting, language, login) {
  const there = `${setting.app}/back?x=1#y`;
  const visitor = new Visitor(setting, language);
  const view = await visitor.open(`/?return_to=${encodeURIComponent(there)}`);
  await view.see("sign_in.title", "return");
  await view.seeText("return.to", { host: new URL(there).host });
  const register = await view.link("sign_in.register").evaluate((link) => link.href);
  check(new URL(register).searchParams.get("return_to") === there, `the link to register forgets the app: ${register}`);
  await fillIn(view, login, NEW_PASSWORD);
  await view.page.waitForURL(there);
  await view.keepsNoToken();

  const again = await visitor.open(`/?return_to=${encodeURIComponent(there)}`);
  await again.see("signed_in.title", "return");
  await again.page.getByRole("button", { name: again.texts["return.go"].replace("{host}", new URL(there).host) }).click();
  await again.page.waitForURL(there);
  await goNowhere(await visitor.open("/"), setting, language);
  await visitor.close();
}

/** Signed in, and with forms: what is not listed is shown as refused and never followed. */
async function goNowhere(view, setting, language) {
  const values = hostile(setting.app, new URL(setting.app).host);
  const queries = values.map((value) => `?return_to=${encodeURIComponent(value)}`);
  queries.push(`?return_to=${encodeURIComponent(setting.app)}&return_to=${encodeURIComponent("http://evil.example")}`);
  // One language is enough: the texts make no difference.
  for (const query of language === "en" ? queries : queries.slice(0, 2)) {
    await view.page.goto(`${setting.base}/${query}`, { waitUntil: "load" });
    await view.page.getByRole("heading", { name: view.texts["signed_in.title"], exact: true }).waitFor();
    await view.seeText("return.refused");
    check(!(await view.page.locator("#go-on").isVisible()), `a way on to ${query}`);
    check(view.page.url().startsWith(`${setting.base}/?`), `${query} led to ${view.page.url()}`);
  }
  await view.see("signed_in.title", "refused");
  for (const good of ["https://app.example.org", "https://APP.example.org/x", "https://app.example.org?x", "capacitor://localhost/x"]) {
    await view.page.goto(`${setting.base}/?return_to=${encodeURIComponent(good)}`, { waitUntil: "load" });
    await view.page.locator("#go-on").waitFor();
  }
  await view.button("signed_in.sign_out").click();
  await view.see("sign_in.title", "signed-out");
  for (const path of ["/", "/register"]) {
    await view.goto(`${path}${queries[0]}`);
    await view.seeText("return.refused");
    await view.look(`refused${path.replace("/", "-")}`);
  }
}
