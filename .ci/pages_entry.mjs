// The steps of .ci/pages.mjs before an account is signed in to: registering, the links of mails, and pages without scripts.
import { LANGUAGES, NEW_PASSWORD, PASSWORD, Visitor, check } from "./pages_view.mjs";

/** Registers by the link of an invite; gives the link of the mail. */
async function register(setting, language, login) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open(`/register?invite=${setting.invite}`);
  await view.see("register.title");
  check((await view.field("register.invite_code").inputValue()) === setting.invite, "the invite is not filled in");

  await view.field("register.login").fill(login);
  await view.field("password").fill("short");
  await view.refused("422 /v1/auth/register", async () => {
    await view.button("register.submit").click();
    await view.seeText("field.email.missing");
    await view.seeText("field.too_short", { min: 8 });
  });
  const email = view.field("email");
  check(await email.evaluate((field) => field === document.activeElement), "the focus is not on the first bad field");
  const described = await email.evaluate((field) =>
    field.getAttribute("aria-describedby").split(" ").map((id) => document.getElementById(id).textContent).join(" "),
  );
  check(described.includes(view.texts["field.email.missing"]), `the field is described by: ${described}`);
  await view.look("register-refused");

  await email.fill(`${login}@example.org`);
  await view.field("password").fill(PASSWORD);
  await view.page.keyboard.press("Enter");
  await view.see("register.done_title");
  await view.seeText("register.mailed", { email: `${login}@example.org` });
  await visitor.close();
  return setting.mailed(`${login}@example.org`, "/verify#token");
}

/** Loads a link as a scanner does, with and without scripts: without a click nothing changes. */
async function preview(setting, language, link, login) {
  const token = link.split("=")[1];
  const query = `${setting.base}/verify?token=${token}`;
  for (const method of ["HEAD", "GET"]) {
    for (const address of [link, query]) check((await fetch(address, { method })).status === 200, `${method} ${address.split("=")[0]}`);
  }
  const scanner = await Visitor.openLink(setting, language, query);
  await scanner.see("verify.question");
  await scanner.visitor.close();
  const { status, body } = await setting.api("/v1/auth/email/verify/preview", { token });
  check(status === 200 && body.username === login, `preview: ${status} ${JSON.stringify(body)}`);
  check(body.email_verified === false, "verified without a click");
}

/** What a token outlives: a reload of its tab, and nothing else. */
async function leaveAndComeBack(view, question, missing) {
  await view.page.reload({ waitUntil: "networkidle" });
  await view.see(question, "reloaded");
  await view.keepsNoToken();
  const path = new URL(view.page.url()).pathname;
  const kept = await view.page.evaluate(() => Object.keys(sessionStorage));
  check(kept.includes(`link ${path}`), `the tab keeps no token for a reload: ${kept}`);
  await view.goto(path === "/reset" ? "/verify" : "/reset");
  await view.goto(path);
  await view.see(missing);
  await view.page.goBack({ waitUntil: "networkidle" });
  await view.page.goBack({ waitUntil: "networkidle" });
  await view.page.getByRole("heading", { name: view.texts[missing], exact: true }).waitFor();
}

/** Each page drops the tokens that the tab keeps of the others: scripts of another host may run in it. */
export async function dropLinks(setting, language) {
  const view = await new Visitor(setting, language).open("/verify");
  for (const path of setting.paths) {
    await view.page.evaluate((paths) => {
      for (const each of paths) sessionStorage.setItem(`link ${each}`, JSON.stringify({ kind: "token", token: "kept" }));
    }, setting.paths);
    await view.goto(path);
    const kept = await view.page.evaluate(() => Object.keys(sessionStorage));
    // Its own too, since this is no reload; where a page takes no links there is none.
    const isLeft = (key) => key.startsWith("link ") && (key !== `link ${path}` || ["/verify", "/reset", "/account"].includes(path));
    check(!kept.some(isLeft), `${path} leaves in the tab: ${kept}`);
  }
  await view.visitor.close();
}

/** A page that the browser kept and shows again after Back has no token any more. */
export async function backToKept(setting, language, link, missing) {
  const view = await Visitor.openLink(setting, language, link);
  await view.page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await view.page.getByRole("heading", { name: view.texts[missing], exact: true }).waitFor();
  check((await view.page.evaluate(() => sessionStorage.length)) === 0, `a kept page has a token: ${link.split("=")[0]}`);
  await view.visitor.close();
}

export async function confirm(setting, language, login) {
  const link = await register(setting, language, login);
  await preview(setting, language, link, login);
  const left = await Visitor.openLink(setting, language, link);
  await leaveAndComeBack(left, "verify.question", "verify.missing_title");
  await left.visitor.close();
  await backToKept(setting, language, link, "verify.missing_title");

  const view = await Visitor.openLink(setting, language, link);
  await view.see("verify.question");
  await view.page.getByText(login, { exact: true }).filter({ visible: true }).waitFor();
  await view.button("verify.yes").press("Enter");
  await view.see("verify.confirmed_title");
  check((await view.page.evaluate(() => JSON.stringify(sessionStorage))) === "{}", "a token is kept after its use");
  const me = await setting.me(login, PASSWORD);
  check(me.email_verified === true, `not verified: ${JSON.stringify(me)}`);
  check(me.locale === language, `the language of mails is ${me.locale}`);
  await view.visitor.close();

  const again = await Visitor.openLink(setting, language, link);
  await again.see("verify.already_title");
  await again.visitor.close();
}

export async function reject(setting, language, login) {
  const link = await register(setting, language, login);
  const view = await Visitor.openLink(setting, language, link);
  await view.button("verify.no").click();
  await view.see("verify.reject_question");
  await view.button("verify.back").click();
  await view.see("verify.question");
  check((await setting.signIn(login, PASSWORD)).status === 200, "gone before the second click");
  await view.button("verify.no").click();
  await view.button("verify.reject").click();
  await view.see("verify.rejected_title");
  check((await setting.signIn(login, PASSWORD)).status === 401, "the rejected account signs in");
  await view.visitor.close();

  const dead = new Visitor(setting, language);
  dead.expected.add("422 /v1/auth/email/verify/preview");
  await (await dead.open(link)).see("verify.invalid_title");
  await dead.close();
}

/** Sets a new password; gives it. */
export async function reset(setting, language, login) {
  const email = `${login}@example.org`;
  const asking = await new Visitor(setting, language).open("/reset");
  await asking.see("reset.ask_title");
  await asking.field("email").fill(email);
  await asking.button("reset.send").click();
  await asking.see("reset.sent_title");
  await asking.visitor.close();

  const link = setting.mailed(email, "/reset#token");
  check((await fetch(link, { method: "HEAD" })).status === 200, "HEAD of the link to reset");
  const left = await Visitor.openLink(setting, language, link);
  await leaveAndComeBack(left, "reset.title", "reset.ask_title");
  await left.visitor.close();
  await backToKept(setting, language, link, "reset.ask_title");

  const view = await Visitor.openLink(setting, language, link.replace("#", "?"));
  await view.see("reset.title");
  await view.page.getByText(login, { exact: true }).filter({ visible: true }).waitFor();
  const password = view.field("reset.new_password");
  await password.fill(NEW_PASSWORD);
  await view.button("password.show_label").click();
  check((await password.getAttribute("type")) === "text", "the password is not shown");
  await view.button("reset.submit").click();
  await view.see("reset.changed_title");
  check((await setting.signIn(login, PASSWORD)).status === 401, "the old password still works");
  check((await setting.signIn(login, NEW_PASSWORD)).status === 200, "the new password does not work");
  await view.visitor.close();

  // Before anything is typed.
  const dead = new Visitor(setting, language);
  dead.expected.add("422 /v1/auth/password/reset/preview");
  await (await dead.open(link)).see("reset.invalid_title");
  await dead.close();
  return NEW_PASSWORD;
}

/** A form that is shown before its script has come cannot be sent, which would put the password into the address; and the page says what to do. */
export async function beforeScripts(setting, language) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/verify");
  const { page } = view;
  for (const path of ["/", "/register"]) {
    const held = [];
    let holds = true;
    await page.route("**/pages/*.js", (route) => (holds ? held.push(route) : route.continue()));
    await page.goto(setting.base + path, { waitUntil: "commit" });
    const [password, send] = [page.locator("#password"), page.locator("#form [type=submit]")];
    await password.fill(PASSWORD);
    await password.press("Enter");
    await send.click({ force: true });
    await page.getByText(view.texts.late).waitFor({ timeout: 12_000 });
    await view.look(`before-scripts${path.replace("/", "-")}`);
    check(page.url() === setting.base + path, `sent without a script: ${page.url()}`);
    holds = false;
    for (const route of held) await route.continue();
    await page.locator("#late").waitFor({ state: "detached" });
    check(await send.isEnabled(), `${path}: the form cannot be sent`);
    check((await password.inputValue()) === PASSWORD, `${path}: the password has gone`);
    await page.unroute("**/pages/*.js");
  }
  await visitor.close();
}

/** With the switch, what is shown is translated, and so is the next page of the tab. */
export async function switchLanguage(setting, language) {
  const other = language === "en" ? "zh" : "en";
  const view = await new Visitor(setting, language).open("/verify");
  await view.see("verify.missing_title");
  await view.page.locator(`button[lang="${LANGUAGES[other].tag}"]`).click();
  for (const [path, key] of [["/verify", "verify.missing_title"], ["/reset", "reset.ask_title"]]) {
    if (path !== "/verify") await view.page.goto(setting.base + path, { waitUntil: "networkidle" });
    const texts = await setting.textsOf(other, path);
    await view.page.getByRole("heading", { name: texts[key], exact: true }).waitFor();
    check((await view.page.getAttribute("html", "lang")) === LANGUAGES[other].tag, `${path}: lang after the switch`);
  }
  check((await view.page.context().cookies()).length === 0, "the choice of a language left a cookie");
  await view.visitor.close();
}

/** Without scripts each page says what to do, and shows no form that would do nothing. */
export async function withoutScripts(setting, language) {
  const visitor = new Visitor(setting, language, { javaScriptEnabled: false });
  for (const path of setting.paths) {
    const { page } = await visitor.open(path);
    check(await page.locator("noscript p").first().isVisible(), `${path}: no note without scripts`);
    check(!(await page.locator("main").isVisible()), `${path}: a page without scripts`);
    const name = `without-scripts${path.replace("/", "-")}-${language}`;
    if (setting.screenshots) await page.screenshot({ path: `${setting.screenshots}/${name}.png`, fullPage: true });
  }
  await visitor.close();
}
