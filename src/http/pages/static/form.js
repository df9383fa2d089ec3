// A form: sends itself, shows errors beside the fields that they are about, and shows passwords on request.
import { hush, label, say } from "./i18n.js";
import { announce, refuseIn, whileBusy } from "./page.js";
import { fieldTexts } from "./refusal.js";

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
    whileBusy(form.querySelector("[type=submit]"), task, (refusal) => refuseForm(form, refusal));
  });
}

/** Empties a form that was sent, so that no password stays in the page. */
export function empty(form) {
  form.reset();
  clear(form);
}

/** Says below a form that it was done, to screen readers too. */
export function sayDone(form, key, gaps) {
  const done = form.querySelector(".done") ?? form.appendChild(document.createElement("p"));
  done.className = "done";
  say(done, key, gaps);
  announce(key, gaps);
  form.addEventListener("input", () => hush(done), { once: true });
}

/** The values of the fields by name, without empty and hidden fields. */
function fieldsOf(form) {
  const own = controls(form).filter(([, field]) => field.value !== "" && !field.closest("[hidden]"));
  return Object.fromEntries(own.map(([name, field]) => [name, field.value]));
}

/** The fields with a name; Turnstile adds one of its own, whose token comes from `captcha.js`. */
function controls(form) {
  const fields = [...form.querySelectorAll("input[name], select[name]")];
  return fields.filter((field) => field.type !== "hidden").map((field) => [field.name, field]);
}

/** Where the error of a field stands, and what to focus. */
function placeOf(form, name) {
  const [, field] = controls(form).find(([known]) => known === name) ?? [];
  if (field) return { field, error: field.closest(".field").querySelector(".error") };
  if (name === "cf_turnstile_token") {
    const place = form.querySelector("[data-captcha]");
    return place && { field: place.querySelector("[role=group]"), error: place.querySelector(".error") };
  }
  const lone = form.querySelector(`#${name}`);
  return lone && { field: lone, error: form.querySelector(`#${name}-error`) };
}

function clear(form) {
  form.querySelectorAll(".error, .notice, .done").forEach(hush);
  form.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
}

/** Shows what is refused: beside the fields that it is about, else below the form. */
export function refuseForm(form, refusal) {
  let first;
  for (const [name, text] of Object.entries(fieldTexts(refusal))) {
    const place = placeOf(form, name);
    if (!place) continue;
    say(place.error, ...text);
    // The captcha's group takes no aria-invalid; its error describes it.
    if (place.field.matches("input, select")) place.field.setAttribute("aria-invalid", "true");
    const isEarlier = !first || place.field.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isEarlier) first = place.field;
  }
  if (first) first.focus();
  else refuseIn(form.querySelector(".notice"), refusal);
}

function startShowing(button) {
  button.addEventListener("click", () => {
    const isShown = fieldOf(button).type === "text";
    showPassword(button, !isShown);
    announce(isShown ? "password.is_hidden" : "password.is_shown");
  });
}

/** Shows or hides a password. It is hidden before the form is sent, so that browsers do not offer it as a completion. */
function showPassword(button, isShown) {
  fieldOf(button).type = isShown ? "text" : "password";
  say(button, isShown ? "password.hide" : "password.show");
  label(button, isShown ? "password.hide_label" : "password.show_label");
}

function fieldOf(button) {
  return document.getElementById(button.getAttribute("aria-controls"));
}
