// What the forms of /account do: saving the profile, changing the password or the address, exporting the data, deleting the account.
import { empty, sayDone } from "./form.js";
import { element, show } from "./page.js";
import { auth, refused } from "./refusal.js";

/** The task of each form, by the name of the form. */
export const tasks = { profile: saveProfile, password: changePassword, address: changeAddress, export: exportData, delete: deleteAccount };

async function saveProfile({ username, locale, timezone }, form, { account, languageOf, showChanged }) {
  const me = account();
  const body = {};
  if (username !== me.username) body.username = username ?? "";
  if (locale !== languageOf(me.locale)) body.locale = locale;
  if ((timezone ?? "") !== (me.timezone ?? "")) body.timezone = timezone ?? null;
  // The server takes an empty name for "no change", so the page refuses it.
  if (body.username === "") throw Object.assign(refused("validation.error"), { details: { fields: { username: { code: "missing" } } } });
  await showChanged(await auth.request("PATCH", "/v1/me", body));
  sayDone(form, "profile.saved");
}

async function changePassword(fields, form, { showChanged }) {
  await auth.request("POST", "/v1/auth/password/change", fields);
  empty(form);
  await showChanged({ has_password: true });
  sayDone(form, "password.changed");
}

async function changeAddress(fields, form) {
  await auth.request("POST", "/v1/auth/email/change", fields);
  empty(form);
  sayDone(form, "address.asked", { email: fields.new_email.trim() });
}

async function exportData(fields, form) {
  const data = await auth.request("POST", "/v1/auth/account/export", fields);
  empty(form);
  const file = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  Object.assign(document.createElement("a"), { href: file, download: `${location.hostname}-account.json` }).click();
  // Long enough for the browser to start reading it.
  setTimeout(() => URL.revokeObjectURL(file), 60_000);
  sayDone(form, "export.done");
}

async function deleteAccount(fields) {
  if (!element("sure").checked) throw refused("page.unsure");
  await auth.deleteAccount(fields);
  document.querySelectorAll("#account form").forEach(empty);
  show("gone");
}
