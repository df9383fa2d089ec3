// /verify: asks whether the account belongs to the person. Nothing is changed before a click.
import { forgetLink, takeLink } from "./link.js";
import { element, onPress, show, startPage } from "./page.js";
import { auth } from "./refusal.js";

const link = takeLink(["token"]);

for (const [section, button, task] of [["question", "yes", confirm], ["rejection", "delete", reject]]) {
  onPress(element(button), document.querySelector(`#${section} .notice`), task);
}
element("no").addEventListener("click", () => show("rejection"));
element("back").addEventListener("click", () => show("question"));
await startPage(load);

async function load() {
  if (!link) return show("missing");
  const account = await unlessInvalid("invalid", () => ask("preview"));
  if (!account) return;
  for (const name of document.querySelectorAll("[data-username]")) name.textContent = account.username;
  show(account.email_verified ? "already" : "question");
}

async function confirm() {
  if (await unlessInvalid("invalid", () => ask("confirm"))) finish("confirmed");
}

async function reject() {
  if (await unlessInvalid("kept", () => ask("reject"))) finish("rejected");
}

function finish(section) {
  forgetLink();
  show(section);
}

function ask(operation) {
  return auth.requestPublic("POST", `/v1/auth/email/verify/${operation}`, { token: link.token });
}

/** What `request` answers; if the link is not valid any more, shows the section that says so, and gives nothing. */
async function unlessInvalid(section, request) {
  try {
    return await request();
  } catch (refused) {
    const isInvalid = refused.code === "email.token_invalid" || refused.code === "validation.error";
    if (!isInvalid) throw refused;
    finish(section);
  }
}
