// /verify: asks whether the account is theirs. Nothing is sent that changes anything before somebody clicks.
import { hush, say } from "./i18n.js";
import { show, startPage, takeToken, whileBusy } from "./page.js";
import { auth, textOf } from "./refusal.js";

const token = takeToken();
const element = (id) => document.getElementById(id);

element("yes").addEventListener("click", () => act("question", "yes", confirm));
element("no").addEventListener("click", () => show("rejection"));
element("back").addEventListener("click", () => show("question"));
element("delete").addEventListener("click", () => act("rejection", "delete", reject));
await startPage(load);

async function load() {
  if (!token) return show("missing");
  const account = await unlessInvalid("invalid", () => ask("preview"));
  if (!account) return;
  for (const name of document.querySelectorAll("[data-username]")) name.textContent = account.username;
  show(account.email_verified ? "already" : "question");
}

async function confirm() {
  const answer = await unlessInvalid("invalid", () => ask("confirm"));
  if (answer) show("confirmed");
}

async function reject() {
  const answer = await unlessInvalid("kept", () => ask("reject"));
  if (answer) show("rejected");
}

function ask(operation) {
  return auth.requestPublic("POST", `/v1/auth/email/verify/${operation}`, { token });
}

/** What `request` answers; if the link is not valid any more, shows the section that says so, and gives nothing. */
async function unlessInvalid(section, request) {
  try {
    return await request();
  } catch (refused) {
    const isInvalid = refused.code === "email.token_invalid" || refused.code === "validation.error";
    if (!isInvalid) throw refused;
    show(section);
  }
}

function act(section, button, task) {
  const notice = document.querySelector(`#${section} .notice`);
  hush(notice);
  return whileBusy(element(button), task, (refusal) => say(notice, ...textOf(refusal)));
}
