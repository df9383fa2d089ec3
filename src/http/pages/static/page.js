// What every page does: one section at a time, what screen readers announce, buttons that wait.
import { hush, say, startLanguages } from "./i18n.js";
import { forgetOtherLinks } from "./link.js";
import { asRefusal, textOf } from "./refusal.js";

export const element = (id) => document.getElementById(id);

/** The words in a `<meta>` of the page, which the server filled in. */
export function written(name) {
  const content = document.querySelector(`meta[name="${name}"]`)?.content ?? "";
  return content.split(" ").filter(Boolean);
}

/** Starts what the page shows already, and then shows what `load` decides; a failure can be tried again. */
export async function startPage(load) {
  forgetOtherLinks();
  startLanguages();
  // A form that was sent before its script was there would put the password into the address.
  for (const button of document.querySelectorAll(":disabled")) button.disabled = false;
  // Opening a second mailed link in this tab changes only the fragment, which does not load the page.
  addEventListener("hashchange", () => location.hash && location.reload());
  const attempt = async () => {
    try {
      await load();
    } catch (error) {
      say(element("failed-why"), ...textOf(asRefusal(error)));
      show("failed");
    }
  };
  element("failed-again").addEventListener("click", () => {
    show("loading");
    return attempt();
  });
  await attempt();
  element("late").remove();
}

/** Shows one section and moves the focus to its heading, so that a screen reader goes on there. */
export function show(id) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  const heading = document.querySelector(`#${id} h1`);
  if (!heading) return;
  say(document.querySelector("title"), heading.dataset.text);
  heading.focus();
}

/** Has screen readers say what happens. */
export function announce(key, gaps) {
  say(element("status"), key, gaps);
}

/** Runs `task` while `button` waits; a refusal goes to `refuse`. Pressed again meanwhile, nothing happens twice. The document then gets the event `idle`. */
export async function whileBusy(button, task, refuse) {
  if (button.getAttribute("aria-disabled")) return;
  // Not `disabled`, which would take the focus away.
  button.setAttribute("aria-disabled", "true");
  announce("busy");
  try {
    await task();
    if (element("status").dataset.text === "busy") hush(element("status"));
  } catch (error) {
    hush(element("status"));
    refuse(asRefusal(error));
  } finally {
    button.removeAttribute("aria-disabled");
    document.dispatchEvent(new Event("idle"));
  }
}

/** Runs `task` when a button outside of a form is pressed; shows a refusal in `notice`. */
export function onPress(button, notice, task) {
  button.addEventListener("click", () => {
    hush(notice);
    whileBusy(button, task, (refusal) => refuseIn(notice, refusal));
  });
}

/** Shows a refusal. A refusal with a wait of up to an hour is replaced when the wait is over. */
export function refuseIn(notice, refusal) {
  say(notice, ...textOf(refusal));
  const { dataset } = notice;
  const said = (dataset.said = String(Number(dataset.said ?? 0) + 1));
  if (refusal.status !== 429 || !(refusal.retryAfter <= 3600)) return;
  const isStill = () => dataset.said === said && dataset.text;
  setTimeout(() => isStill() && say(notice, "error.over"), refusal.retryAfter * 1000);
}
