// The steps of .ci/pages.mjs from an app to the server's pages and back, or not back where the app is not listed.
import { createServer } from "node:http";

import { fillIn } from "./pages_sign_in.mjs";
import { LANGUAGES, NEW_PASSWORD, PASSWORD, Visitor, check } from "./pages_view.mjs";
import { GOOD, hostile } from "./return_values.mjs";

/** Those of the hostile values that are tried where each costs a sign-in or a registration. */
const FEW = ["https://evil.example/", "//evil.example", "javascript:alert(1)"];
const asking = (path, value) => `${path}${path.includes("?") ? "&" : "?"}return_to=${encodeURIComponent(value)}`;

/** An app on an origin of its own, which shows where people come back to. */
export async function startApp(port) {
  const app = createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "text/html" }).end('<!doctype html><link rel="icon" href="data:,"><title>An app</title>');
  });
  await new Promise((done) => app.listen(port, "127.0.0.1", done));
  return app;
}

/** To a listed app and back by one sign-in; from there on with a click. */
export async function goBack(setting, language, login) {
  const there = `${setting.app}/back?x=1#y`;
  const visitor = new Visitor(setting, language);
  const view = await visitor.open(asking("/", there));
  await view.see("sign_in.title", "return");
  await view.seeText("return.to", { host: new URL(there).host });
  await keepOnTheWay(visitor, there);
  await fillIn(view, login, NEW_PASSWORD);
  await view.page.waitForURL(there);
  await view.keepsNoToken();

  const again = await visitor.open(asking("/", there));
  await again.see("signed_in.title", "return");
  await again.page.getByRole("button", { name: again.texts["return.go"].replace("{host}", new URL(there).host) }).click();
  await again.page.waitForURL(there);
  await goNowhere(await visitor.open("/"), setting, language);
  await visitor.close();
}

/** Every link that leads from one form to another one keeps where the person came from. */
async function keepOnTheWay(visitor, there) {
  for (const path of ["/", "/register", "/reset"]) {
    const view = await visitor.open(asking(path, there));
    await view.page.locator("#ask").waitFor();
    // Those of sections that are not shown now are as good.
    const links = await view.page.locator('main a:not([href^="/account"])').evaluateAll((all) => all.map((link) => link.href));
    check(links.length > 0, `no links at ${path}`);
    for (const link of links) check(new URL(link).searchParams.get("return_to") === there, `a link of ${path} forgets the app: ${link}`);
    await view.page.close();
  }
}

/** Signed in, and with forms: what is not listed is shown as refused and never followed. */
async function goNowhere(view, setting, language) {
  const queries = hostile(setting.app).map((value) => asking("/", value));
  queries.push(asking(asking("/", setting.app), "http://evil.example"));
  // One language is enough: the texts make no difference.
  for (const query of language === "en" ? queries : queries.slice(0, 2)) {
    await view.page.goto(setting.base + query, { waitUntil: "load" });
    await staysSignedIn(view, query);
  }
  await view.see("signed_in.title", "refused");
  await reloadAndSwitch(view, setting, language);
  for (const good of GOOD) {
    await view.page.goto(setting.base + asking("/", good), { waitUntil: "load" });
    await view.page.locator("#go-on").waitFor();
  }
  await signOut(view);
  await view.see("sign_in.title", "signed-out");
  for (const path of ["/", "/register"]) {
    await view.goto(asking(path, hostile(setting.app)[0]));
    await view.seeText("return.refused");
    await view.look(`refused${path.replace("/", "-")}`);
  }
}

async function signOut(view) {
  await view.button("signed_in.sign_out").click();
  await view.page.getByRole("heading", { name: view.texts["sign_in.title"], exact: true }).waitFor();
}

/** The page says that it refuses the address, and has no way on to it. */
async function staysSignedIn(view, query) {
  await view.page.getByRole("heading", { name: view.texts["signed_in.title"], exact: true }).waitFor();
  await view.seeText("return.refused");
  check(!(await view.page.locator("#go-on").isVisible()), `a way on to ${query}`);
  check(view.page.url().startsWith(`${view.setting.base}/?`), `${query} led to ${view.page.url()}`);
}

/** A refused address stays refused after a reload, and in the other language. */
async function reloadAndSwitch(view, setting, language) {
  const { page } = view;
  const query = asking("/", FEW[0]);
  await page.goto(setting.base + query, { waitUntil: "networkidle" });
  await page.reload({ waitUntil: "networkidle" });
  await staysSignedIn(view, `${query}, reloaded`);
  const own = view.texts;
  for (const shown of [language === "en" ? "zh" : "en", language]) {
    await page.locator(`button[lang="${LANGUAGES[shown].tag}"]`).click();
    view.texts = await setting.textsOf(shown, "/");
    await staysSignedIn(view, `${query}, in ${shown}`);
  }
  view.texts = own;
}

/** Signed out, through each form to the end: by password, by a registration with an invite, and by a mailed code. */
export async function refusedToTheEnd(setting, language, login, newcomer) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/");
  for (const value of FEW) {
    await view.goto(asking("/", value));
    await view.seeText("return.refused");
    await fillIn(view, login, NEW_PASSWORD);
    await staysSignedIn(view, value);
    await signOut(view);
  }

  await view.goto(asking(`/register?invite=${setting.invite}`, FEW[0]));
  await view.seeText("return.refused");
  await view.field("register.login").fill(newcomer);
  await view.field("email").fill(`${newcomer}@example.org`);
  await view.field("password").fill(PASSWORD);
  await view.page.keyboard.press("Enter");
  await view.page.getByRole("heading", { name: view.texts["register.done_title"], exact: true }).waitFor();
  check(!(await view.page.locator("#go-on").isVisible()), "a registration leads on to an address that was refused");
  check(view.page.url() === `${setting.base}/register`, `a registration led to ${view.page.url()}`);
  await view.goto("/");
  await signOut(view);

  await view.goto(asking("/", FEW[0]));
  await view.button("sign_in.by_code").click();
  await view.field("email").fill(`${newcomer}@example.org`);
  await view.button("code.send").click();
  await view.page.getByRole("heading", { name: view.texts["code.enter_title"], exact: true }).waitFor();
  await view.field("code.otp").fill(setting.mailed(`${newcomer}@example.org`, "code"));
  await view.page.keyboard.press("Enter");
  await staysSignedIn(view, "a code");
  await visitor.close();
}
