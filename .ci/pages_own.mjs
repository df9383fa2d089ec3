// The steps of .ci/pages.mjs at /account for the rarely used forms: changing the address, exporting, deleting.
import { readFileSync } from "node:fs";

import { enter, submit, unfold } from "./pages_account.mjs";
import { backToKept } from "./pages_entry.mjs";
import { NEW_PASSWORD, PASSWORD, Visitor, check } from "./pages_view.mjs";

/** Two changes that come to nothing: the new address gets another account meanwhile, and a link is called off. */
export async function changeNothing(setting, language, login) {
  const [taken, off, other] = [`${login}-taken@example.org`, `${login}-off@example.org`, `${login}-other`];
  const view = await enter(setting, language, login, PASSWORD);
  await unfold(view, "address");
  await ask(view, taken);
  await register(setting, language, other, taken);
  const late = await view.visitor.open(setting.mailed(taken, "/account#change"));
  await late.see("link.title", "taken");
  await late.refused("409 /v1/auth/email/change/confirm", async () => {
    await late.button("link.confirm").click();
    await late.see("link.taken_title");
  });
  await ask(view, off);
  const link = setting.mailed(off, "/account#change");
  await backToKept(setting, language, link, "account.signed_out_title");
  await view.visitor.close();

  const stranger = await enter(setting, language, other, PASSWORD);
  const asked = await stranger.visitor.open(link);
  await asked.see("link.title", "other");
  await asked.seeText("link.why_other", { username: other });
  await asked.button("link.confirm").click();
  await asked.seeText("field.current_password.missing");
  await asked.button("link.not_me").click();
  await asked.button("link.reject").click();
  await asked.see("link.rejected_title");
  stranger.visitor.expected.add("422 /v1/auth/email/change/preview");
  await (await stranger.visitor.open(link)).see("link.over_title", "called-off");
  await stranger.visitor.close();
  const me = await setting.me(login, PASSWORD);
  check(me.email === `${login}@example.org`, `not changed: ${JSON.stringify(me)}`);
}

/** Asks for a change by the form, which is open. */
async function ask(view, address) {
  const form = view.page.locator("#address-form");
  await form.locator("[name=new_email]").fill(address);
  await form.locator("[name=current_password]").fill(PASSWORD);
  await submit(form);
  await view.seeText("address.asked", { email: address });
}

/** An account with a verified address, without the pages. */
async function register(setting, language, login, email) {
  const body = { login, email, password: PASSWORD, invite_code: setting.invite, locale: language };
  const registered = await setting.api("/v1/auth/register", body);
  check(registered.status === 201, `registered: ${JSON.stringify(registered)}`);
  const token = setting.mailed(email, "/verify#token").split("=")[1];
  const confirmed = await setting.api("/v1/auth/email/verify/confirm", { token });
  check(confirmed.status === 200, `verified: ${JSON.stringify(confirmed)}`);
}

/** Moves an old account to a new address, and takes the old one back. Gives the password that is set after that. */
export async function changeAddress(setting, language, login) {
  const [before, after] = [`${login}@example.org`, `${login}-new@example.org`];
  const view = await enter(setting, language, login, PASSWORD);
  const form = await unfold(view, "address");
  await form.locator("[name=new_email]").fill(after);
  await form.locator("[name=current_password]").fill("not the password");
  await view.refused("422 /v1/auth/email/change", async () => {
    await submit(form);
    await view.seeText("field.current_password.incorrect");
  });
  await form.locator("[name=current_password]").fill(PASSWORD);
  await submit(form);
  await view.seeText("address.asked", { email: after });
  await view.look("account-address-asked");

  const link = setting.mailed(after, "/account#change");
  await confirmElsewhere(setting, language, link);
  // Where the owner is signed in, a click is enough.
  const confirming = await view.visitor.open(link);
  await confirming.see("link.title", "own");
  await confirming.page.reload({ waitUntil: "networkidle" });
  await confirming.see("link.title", "reloaded");
  await confirming.keepsNoToken();
  await confirming.button("link.confirm").click();
  await confirming.see("link.confirmed_title");
  const me = await setting.me(login, PASSWORD);
  check(me.email === after && me.email_verified === true, `changed: ${JSON.stringify(me)}`);
  view.visitor.expected.add("422 /v1/auth/email/change/preview");
  await (await view.visitor.open(link)).see("link.over_title");
  await view.visitor.close();
  await undo(setting, language, login, before);
  return NEW_PASSWORD;
}

/** The link in another browser: it asks for the password, and can call the change off. Nothing of it is used up. */
async function confirmElsewhere(setting, language, link) {
  const view = await Visitor.openLink(setting, language, link);
  await view.see("link.title", "out");
  await view.field("password.present").fill("not the password");
  await view.refused("422 /v1/auth/email/change/confirm", async () => {
    await view.button("link.confirm").click();
    await view.seeText("field.current_password.incorrect");
  });
  await view.button("link.not_me").click();
  await view.see("link.reject_title");
  await view.button("link.back").click();
  await view.see("link.title", "back");
  await view.visitor.close();
}

async function undo(setting, language, login, before) {
  const link = setting.mailed(before, "/account#undo");
  const view = await Visitor.openLink(setting, language, link);
  await view.see("link.undo_title");
  await view.button("link.undo").click();
  await view.see("link.undone_title");
  view.visitor.expected.add("422 /v1/auth/email/change/preview");
  await (await view.visitor.open(link)).see("link.undo_over_title");
  await view.visitor.close();
  check((await setting.signIn(login, PASSWORD)).status === 401, "the password still works after an undo");

  const reset = await Visitor.openLink(setting, language, setting.mailed(before, "/reset#token"));
  await reset.field("reset.new_password").fill(NEW_PASSWORD);
  await reset.button("reset.submit").click();
  await reset.see("reset.changed_title", "undone");
  await reset.visitor.close();
  const me = await setting.me(login, NEW_PASSWORD);
  check(me.email === before && me.email_verified === true, `undone: ${JSON.stringify(me)}`);
}

/** The file with the account's data. */
export async function exportData(setting, language, login, password) {
  const view = await enter(setting, language, login, password);
  const form = await unfold(view, "export");
  await form.locator("[name=current_password]").fill(password);
  const downloading = view.page.waitForEvent("download");
  await submit(form);
  const file = await (await downloading).path();
  await view.seeText("export.done");
  await view.look("account-exported");
  const data = JSON.parse(readFileSync(file, "utf8"));
  check(data.account.username === login && data.sessions.length > 0 && data.audit.length > 0, `exported: ${JSON.stringify(data).slice(0, 300)}`);
  await view.visitor.close();
}

/** Deletes the account; another tab shows it. */
export async function deleteAccount(setting, language, login, password) {
  const view = await enter(setting, language, login, password);
  const tab = await view.visitor.open("/account");
  const form = await unfold(view, "delete");
  await form.locator("[name=current_password]").fill(password);
  await submit(form);
  await view.seeText("error.page.unsure");
  await view.look("account-delete-unsure");
  await view.page.getByLabel(view.texts["delete.sure"]).check();
  await submit(form);
  await view.see("delete.done_title");
  await tab.page.getByRole("heading", { name: view.texts["account.signed_out_title"], exact: true }).waitFor();
  check((await setting.signIn(login, password)).status === 401, "the deleted account signs in");
  await view.visitor.close();
}
