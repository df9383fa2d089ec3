// /account: one's own account, where it is signed in, and the links of a change of address.
import { deviceOf } from "./device.js";
import { empty, sayDone, startForm } from "./form.js";
import { addTexts, label, say } from "./i18n.js";
import { takeLink } from "./link.js";
import { announce, element, onPress, show, startPage, written } from "./page.js";
import { auth, refused } from "./refusal.js";

const link = takeLink(["change", "undo"]);
let me;
/** Whether the page shows an account or that there is none: never with a link of a mail. */
let isShown = false;

/** What the tasks of the forms need of this page. */
const page = { showChanged, languageOf, account: () => me };
for (const form of document.querySelectorAll("#account form")) {
  const name = form.id.replace("-form", "");
  // Loaded when a form is sent: few visits need it.
  startForm(form, async (fields) => (await loaded(import("./account_more.js"))).tasks[name](fields, form, page));
}
onPress(element("send-again"), element("address-notice"), async () => {
  await auth.request("POST", "/v1/auth/email/verify/send");
  sayDone(element("unverified"), "address.sent", { email: me.email });
});
onPress(element("end-others"), element("sessions-notice"), async () => {
  await auth.request("DELETE", "/v1/auth/sessions");
  await showSessions();
  announce("sessions.ended_others");
  element("sessions-title").focus();
});
onPress(element("sign-out"), element("sessions-notice"), () => auth.signOut());
onPress(element("sign-out-everywhere"), element("sessions-notice"), async () => {
  await auth.request("DELETE", "/v1/auth/sessions");
  await auth.signOut();
});
if (!link) addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
auth.addEventListener("change", () => isShown && follow());
await startPage(load);

/** Another tab signed in or out, or the session has ended: nothing of the former account stays in the page. */
function follow() {
  if (!element("gone").hidden) return;
  document.querySelectorAll("#account form").forEach(empty);
  if (auth.userId) location.reload();
  else showSignedOut();
}

function showSignedOut() {
  isShown = true;
  // A sign-in loads the page anew.
  element("account")?.remove();
  show("signed-out");
}

async function load() {
  const isSignedIn = await auth.resume();
  if (link) {
    const [{ showLink }] = await loaded(Promise.all([import("./address_link.js"), addTexts("address")]));
    return showLink(link, isSignedIn);
  }
  if (!isSignedIn) return showSignedOut();
  await showAccount();
}

/** Waits for a module. A module that cannot be loaded means that the server cannot be reached. */
function loaded(module) {
  return module.catch(() => {
    throw refused("client.unreachable");
  });
}

async function showAccount() {
  const { userId } = auth;
  [me] = await Promise.all([auth.request("GET", "/v1/me"), showSessions()]);
  fillZones();
  showMe();
  isShown = true;
  // The sessions may be those of another account already.
  if (auth.userId !== userId) return follow();
  show("account");
}

async function showChanged(changes) {
  Object.assign(me, changes);
  showMe();
  await showSessions();
}

function showMe() {
  const { username, email, email_verified: isVerified, has_password: hasPassword, locale, timezone } = me;
  element("username").value = username;
  element("locale").value = languageOf(locale);
  element("timezone").value = timezone ?? "";
  element("address").textContent = email;
  say(element("address-state"), isVerified ? "address.is_verified" : "address.is_unverified");
  element("address-state").classList.toggle("good", isVerified);
  element("unverified").hidden = isVerified || !written("mail").length;
  element("no-password").hidden = hasPassword;
  say(element("password-summary"), hasPassword ? "password.change" : "password.set");
  for (const place of document.querySelectorAll("[data-present]")) place.hidden = !hasPassword;
  for (const name of document.querySelectorAll("[data-name]")) name.value = username;
}

function languageOf(locale) {
  return locale.split("-")[0] === "zh" ? "zh" : "en";
}

/** Fills the list: none, the zone of this device, the account's zone, and all others that the browser knows. */
function fillZones() {
  const zones = new Set(Intl.supportedValuesOf?.("timeZone") ?? []);
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const listed = ["", ...new Set([here, me.timezone, ...zones].filter(Boolean))];
  element("timezone").replaceChildren(
    ...listed.map((zone) => {
      const option = new Option(zone.replaceAll("_", " "), zone);
      if (zone === "") say(option, "profile.no_timezone");
      return option;
    }),
  );
}

async function showSessions() {
  const { sessions } = await auth.request("GET", "/v1/auth/sessions");
  // This session first, because people look for it.
  sessions.sort((a, b) => Number(b.current) - Number(a.current));
  element("sessions").replaceChildren(...sessions.map(rowOf));
  element("end-others").hidden = sessions.length < 2;
}

function rowOf(session) {
  const row = document.createElement("li");
  const about = row.appendChild(document.createElement("div"));
  const line = (className, ...text) => say(about.appendChild(Object.assign(document.createElement("p"), { className })), ...text);
  const [key, gaps] = deviceOf(session.user_agent);
  line("device", key, gaps);
  if (session.current) line("tag good", "sessions.current");
  line("quiet", session.ip ? "sessions.from" : "sessions.from_nowhere", { ip: session.ip });
  const used = session.current ? { at: session.last_used_at } : { day: session.last_used_at };
  line("quiet", "sessions.times", { began: { at: session.created_at }, used });
  if (session.current) return row;
  const end = row.appendChild(Object.assign(document.createElement("button"), { type: "button" }));
  say(end, "sessions.end");
  label(end, "sessions.end_label", { device: { key, ...gaps } });
  end.dataset.text = "sessions.end";
  onPress(end, element("sessions-notice"), async () => {
    await auth.request("DELETE", `/v1/auth/sessions/${session.id}`).catch((error) => {
      // Already ended, as wanted.
      if (error.code !== "session.not_found") throw error;
    });
    await showSessions();
    announce("sessions.ended");
    element("sessions-title").focus();
  });
  return row;
}
