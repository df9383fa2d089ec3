// The steps of .ci/pages.mjs at /: signing in by password and by a mailed code.
import { Visitor, check } from "./pages_view.mjs";

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
  // Going back needs no connection.
  await view.page.context().setOffline(true);
  await view.button("code.by_password").click();
  await view.see("sign_in.title");
  await view.button("sign_in.by_code").click();
  await view.see("code.title");
  await view.page.context().setOffline(false);
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
