// A form: sends itself, shows errors beside the fields that they are about, and shows passwords on request.
import { hush, label, say } from "./i18n.js";
import { announce, whileBusy } from "./page.js";
import { fieldTexts, textOf } from "./refusal.js";

/** Carries out `send` with the fields by name when `form` is sent, and shows what is refused. */
export function startForm(form, send) {
  form.querySelectorAll(".password button").forEach(startShowing);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const task = () => {
      form.querySelectorAll(".password button").forEach((button) => showPassword(button, false));
      clear(form);
      return send(fieldsOf(form));
    };
    whileBusy(form.querySelector("[type=submit]"), task, (refusal) => showRefusal(form, refusal));
  });
}

/** What stands in the fields; a blank one is absent. */
function fieldsOf(form) {
  const entries = [...new FormData(form)];
  // Turnstile adds a field of its own; its token comes from `captcha.js`.
  const own = entries.filter(([name, value]) => form.querySelector(`#${name}-error`) && value !== "");
  return Object.fromEntries(own);
}

function clear(form) {
  form.querySelectorAll(".error, .notice").forEach(hush);
  form.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
}

function showRefusal(form, refusal) {
  const texts = fieldTexts(refusal);
  const bad = [...form.querySelectorAll(".error")].filter((error) => {
    const name = error.id.replace(/-error$/, "");
    if (!texts[name]) return false;
    say(error, ...texts[name]);
    const field = document.getElementById(name);
    // A group has no such property; it is described by its error all the same.
    if (field.tagName === "INPUT") field.setAttribute("aria-invalid", "true");
    error.closest(".field").hidden = false;
    return true;
  });
  if (bad.length === 0) say(form.querySelector(".notice"), ...textOf(refusal));
  else document.getElementById(bad[0].id.replace(/-error$/, "")).focus();
}

function startShowing(button) {
  button.addEventListener("click", () => {
    const isShown = fieldOf(button).type === "text";
    showPassword(button, !isShown);
    announce(isShown ? "password.is_hidden" : "password.is_shown");
  });
}

/** Hidden again before it is sent, so that a browser does not keep it among the texts it completes. */
function showPassword(button, isShown) {
  fieldOf(button).type = isShown ? "text" : "password";
  say(button, isShown ? "password.hide" : "password.show");
  label(button, isShown ? "password.hide_label" : "password.show_label");
}

function fieldOf(button) {
  return document.getElementById(button.getAttribute("aria-controls"));
}
