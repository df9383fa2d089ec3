// The steps of .ci/pages.mjs at /account: profile, password, sessions, and what other tabs do meanwhile.
import { fillIn } from "./pages_sign_in.mjs";
import { Visitor, check } from "./pages_view.mjs";

/** Signs in by the form, in a profile of its own. */
export async function enter(setting, language, login, password) {
  const visitor = new Visitor(setting, language);
  const view = await visitor.open("/");
  await view.page.getByRole("heading", { name: view.texts["sign_in.title"], exact: true }).waitFor();
  await fillIn(view, login, password);
  await view.arrive("/account");
  await view.page.getByRole("heading", { name: view.texts["account.title"], exact: true }).waitFor();
  return view;
}

/** Opens one part of the page, and gives its form. */
export async function unfold(view, name) {
  await view.page.locator(`#${name}-details > summary`).click();
  return view.page.locator(`#${name}-form`);
}

export async function submit(form) {
  await form.locator("[type=submit]").click();
}

export async function signedOut(setting, language) {
  const view = await new Visitor(setting, language).open("/account");
  await view.see("account.signed_out_title");
  await view.visitor.close();
}

/** Name, language and time zone. Gives the new name. */
export async function profile(setting, language, login, password) {
  const view = await enter(setting, language, login, password);
  await view.see("account.title");
  const { page, texts } = view;
  const name = view.field("profile.username");
  await name.fill("");
  await view.button("profile.submit").click();
  await view.seeText("field.login.missing");
  const renamed = `${login}-2`;
  await name.fill(renamed);
  await page.getByLabel(texts["profile.timezone"]).selectOption("Europe/Berlin");
  await view.button("profile.submit").click();
  await view.seeText("profile.saved");
  const me = await setting.me(renamed, password);
  check(me.timezone === "Europe/Berlin" && me.username === renamed, `saved: ${JSON.stringify(me)}`);
  await page.reload({ waitUntil: "networkidle" });
  check((await name.inputValue()) === renamed, "a reload forgets the name");
  await view.visitor.close();
  return renamed;
}

/** A wrong present password, then the right one. */
export async function password(setting, language, login, present, next) {
  const view = await enter(setting, language, login, present);
  const form = await unfold(view, "password");
  await form.locator("[name=current_password]").fill("not the password");
  await form.locator("[name=new_password]").fill(next);
  await view.refused("422 /v1/auth/password/change", async () => {
    await submit(form);
    await view.seeText("field.current_password.incorrect");
  });
  await view.look("account-wrong-password");
  await form.locator("[name=current_password]").fill(present);
  await submit(form);
  await view.seeText("password.changed");
  check((await form.locator("[name=new_password]").inputValue()) === "", "a password stays in the page");
  check((await setting.signIn(login, present)).status === 401, "the old password still works");
  await view.visitor.close();
}

/** Ends another session, and then every one. */
export async function sessions(setting, language, login, password) {
  const other = await enter(setting, language, login, password);
  const view = await enter(setting, language, login, password);
  const ends = view.page.locator("#sessions button");
  await ends.first().waitFor();
  await view.look("account-sessions");
  const before = await ends.count();
  await ends.first().click();
  await view.page.waitForFunction((count) => document.querySelectorAll("#sessions button").length < count, before);
  await view.button("sessions.end_others").click();
  await view.page.waitForFunction(() => document.querySelectorAll("#sessions button").length === 0);
  await other.page.reload({ waitUntil: "networkidle" });
  await other.see("account.signed_out_title", "ended");
  await other.visitor.close();

  const tab = await view.visitor.open("/account");
  await view.button("sessions.sign_out_everywhere").click();
  for (const each of [view, tab]) await each.page.getByRole("heading", { name: view.texts["account.signed_out_title"], exact: true }).waitFor();
  check((await view.page.context().cookies()).length === 0, "a cookie after signing out");
  const left = await view.page.evaluate(() => document.documentElement.textContent + [...document.querySelectorAll("input")].map((input) => input.value));
  for (const own of [login, "@example.org", "127.0.0.1"]) check(!left.includes(own), `${own} stays in the page after signing out`);
  await view.visitor.close();
}

/** Another account signs in in another tab while a page loads, after the server has answered the page: it shows the other account. */
export async function changeMeanwhile(setting, language, login, password) {
  const other = `${login}-b`;
  const fields = { login: other, email: `${other}@example.org`, password, invite_code: setting.invite };
  check((await setting.api("/v1/auth/register", fields)).status === 201, `${other} is not registered`);
  const view = await enter(setting, language, login, password);
  const { page } = view;
  const tab = await view.visitor.open("/register");
  const shows = { "/": "signed_in.title", "/account": "account.title" };
  // What a page asks for last.
  for (const [path, answer] of [["/account", "/v1/auth/sessions"], ["/", "/v1/me"]]) {
    const next = path === "/account" ? other : login;
    await page.route(setting.base + answer, async (route) => {
      const response = await route.fetch();
      const signIn = async (data) => {
        const { AuthClient } = await import("/arkloop.js");
        await new AuthClient().signIn(data);
      };
      await tab.page.evaluate(signIn, { login: next, password });
      // The other tabs have been told.
      await page.waitForTimeout(200);
      await route.fulfill({ response });
    }, { times: 1 });
    await page.goto(setting.base + path);
    view.texts = await setting.textsOf(language, path);
    await page.getByRole("heading", { name: view.texts[shows[path]], exact: true }).waitFor();
    const named = (name) => [document.querySelector("#username")?.value, document.querySelector("#username")?.textContent].includes(name);
    await page.waitForFunction(named, next);
  }
  await view.visitor.close();
}
