// What every page does: one section at a time, a token that leaves the address bar, buttons that wait.
import { hush, say, startLanguages } from "./i18n.js";
import { asRefusal, textOf } from "./refusal.js";

/** Shows the page in its language, and then what `load` decides; a failure can be tried again. */
export async function startPage(load) {
  startLanguages();
  document.querySelector("main").hidden = false;
  // A second link opened in this tab changes the fragment only, which by itself would load nothing.
  addEventListener("hashchange", () => location.hash && location.reload());
  const attempt = async () => {
    show("loading");
    try {
      await load();
    } catch (error) {
      say(document.getElementById("failed-why"), ...textOf(asRefusal(error)));
      show("failed");
    }
  };
  document.getElementById("failed-again").addEventListener("click", attempt);
  await attempt();
}

/** Shows one section and moves the focus to its heading, so that a screen reader goes on there. */
export function show(id) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  const heading = document.querySelector(`#${id} h1`);
  if (!heading) return;
  say(document.querySelector("title"), heading.dataset.text);
  heading.focus();
}

/** Takes the token out of the address, where it would stay in the history and be seen; `undefined` without one. */
export function takeToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const query = new URLSearchParams(location.search);
  const token = fragment.get("token") || query.get("token") || undefined;
  if (location.hash || query.has("token")) history.replaceState(null, "", location.pathname);
  return token;
}

/** Tells what happens to whoever does not see it. */
export function announce(key) {
  say(document.getElementById("status"), key);
}

/** Runs `task` while `button` waits; a refusal goes to `refuse`. Pressed again meanwhile, nothing happens twice. */
export async function whileBusy(button, task, refuse) {
  if (button.getAttribute("aria-disabled")) return;
  // Not `disabled`, which would take the focus away.
  button.setAttribute("aria-disabled", "true");
  announce("busy");
  try {
    await task();
    hush(document.getElementById("status"));
  } catch (error) {
    hush(document.getElementById("status"));
    refuse(asRefusal(error));
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
