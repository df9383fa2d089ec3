// The mailed links about a change of the address: to confirm it (with the account's session or password), to cancel it, to undo it.
//
// It is loaded only for such a link. Nothing is changed before a click.
import { startForm } from "./form.js";
import { say, translateIn } from "./i18n.js";
import { forgetLink } from "./link.js";
import { element, onPress, show } from "./page.js";
import { auth, refused } from "./refusal.js";

const CHANGE = "/v1/auth/email/change";
let link;

/** Shows what the link is about, and asks. */
export async function showLink(taken, isSignedIn) {
  link = taken;
  const about = await unlessOver(() => auth.requestPublic("POST", `${CHANGE}/preview`, { token: link.token }));
  if (!about) return;
  if (about.purpose === "undo") return askUndo(about);
  const own = isSignedIn ? await auth.request("GET", "/v1/me") : undefined;
  askConfirm(about, own);
}

/** One section of the page, made anew for each step. */
function step(title, ...children) {
  const section = element("link");
  const heading = made("h1", title);
  heading.tabIndex = -1;
  section.replaceChildren(heading, ...children.filter(Boolean));
  translateIn(section);
  show("link");
  return section;
}

function made(tag, key, gaps, properties) {
  const node = Object.assign(document.createElement(tag), properties);
  if (key) say(node, key, gaps);
  return node;
}

function named({ username, email }) {
  const box = made("p", undefined, undefined, { className: "account" });
  const name = made("strong", undefined, undefined, { textContent: username });
  name.translate = false;
  const address = made("strong", undefined, undefined, { textContent: email, className: "breaks" });
  address.translate = false;
  box.append(made("span", "link.of"), " ", name, document.createElement("br"), made("span", "email"), " ", address);
  return box;
}

function button(key, className, task) {
  const pressed = made("button", key, undefined, { type: "button", className });
  onPress(pressed, notice, task);
  return pressed;
}

function buttons(...all) {
  const row = made("div", undefined, undefined, { className: "buttons" });
  row.append(...all);
  return row;
}

const notice = made("p", undefined, undefined, { className: "notice", role: "alert" });

function askConfirm(about, own) {
  const isOwn = own?.username.toLowerCase() === about.username.toLowerCase();
  const no = button("link.not_me", "", () => askReject(about, own));
  if (isOwn) {
    const yes = button("link.confirm", "primary", async () => {
      if (await unlessOver(() => auth.request("POST", `${CHANGE}/confirm`, { token: link.token }))) done("link.confirmed");
    });
    return step("link.title", made("p", "link.why"), named(about), notice, buttons(yes, no));
  }
  // Another account is signed in here, or none: the password of the account that moves is asked for.
  const form = document.importNode(element("address-form"), true);
  form.id = "link-form";
  form.querySelector("#new_email").closest(".field").remove();
  form.querySelector("[data-present]").hidden = false;
  const password = form.querySelector("[type=password], [name=current_password]");
  password.id = "link-password";
  form.querySelector("label[for=address-password]").htmlFor = password.id;
  form.querySelector("[aria-controls]").setAttribute("aria-controls", password.id);
  const error = form.querySelector("#address-password-error");
  error.id = "link-password-error";
  password.setAttribute("aria-describedby", error.id);
  form.querySelector("[type=submit]").dataset.text = "link.confirm";
  form.querySelector(".done")?.remove();
  const name = made("input", undefined, undefined, { type: "text", autocomplete: "username", value: about.username, readOnly: true, hidden: true });
  form.prepend(name);
  const section = step("link.title", made("p", own ? "link.why_other" : "link.why_password", { username: own?.username }), named(about), form, notice, no);
  startForm(section.querySelector("form"), async ({ current_password: current }) => {
    // Without a password the server would ask for a session instead.
    if (!current) throw Object.assign(refused("validation.error"), { details: { fields: { current_password: { code: "missing" } } } });
    const body = { token: link.token, current_password: current };
    if (await unlessOver(() => auth.requestPublic("POST", `${CHANGE}/confirm`, body))) done("link.confirmed_out");
  });
}

function askReject(about, own) {
  const yes = button("link.reject", "danger", async () => {
    if (await unlessOver(() => auth.requestPublic("POST", "/v1/auth/email/verify/reject", { token: link.token }))) done("link.rejected");
  });
  step("link.reject_title", named(about), made("p", "link.reject_why"), notice, buttons(yes, button("link.back", "", () => askConfirm(about, own))));
}

function askUndo(about) {
  const yes = button("link.undo", "primary", async () => {
    if (await unlessOver(() => auth.requestPublic("POST", `${CHANGE}/undo`, { token: link.token }))) done("link.undone", { email: about.email });
  });
  step("link.undo_title", made("p", "link.undo_why"), named(about), made("p", "link.undo_means"), notice, buttons(yes, account("link.undo_not")));
}

/** A link to the account's page, without the link of the mail. */
function account(key) {
  return made("a", key, undefined, { className: "button", href: "/account" });
}

function done(key, gaps) {
  forgetLink();
  const isOut = key === "link.undone" || key === "link.confirmed_out";
  step(`${key}_title`, made("p", key, gaps), isOut ? made("a", "link.sign_in", undefined, { className: "button primary", href: "/" }) : account("link.account"));
}

/** What `request` answers; if the link is not valid any more, says so, and gives nothing. */
async function unlessOver(request) {
  try {
    return await request();
  } catch (refused) {
    const isTaken = refused.code === "auth.email_exists";
    const isOver = refused.code === "email.token_invalid" || refused.details?.fields?.token;
    if (!isOver && !isTaken) throw refused;
    forgetLink();
    const over = link.kind === "undo" ? "link.undo_over" : "link.over";
    const key = isTaken ? "link.taken" : over;
    step(`${key}_title`, made("p", key), account("link.account"));
  }
}
