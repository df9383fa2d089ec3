// The language of the page. Every text is said by its key, so that switching translates what is shown and loses nothing.
import en from "./en.js";
import zh from "./zh.js";

const LANGUAGES = {
  en: { tag: "en", name: "English", units: "long", texts: en },
  zh: { tag: "zh-Hans", name: "中文", units: "short", texts: zh },
};
// Of this tab only: the pages set no cookie and leave nothing behind.
const STORED = "language";

let language = remembered() ?? preferred();
/** What fills the gaps of a text, by the element that shows it. */
const values = new WeakMap();

function remembered() {
  try {
    const name = sessionStorage.getItem(STORED);
    return Object.hasOwn(LANGUAGES, name) ? name : undefined;
  } catch {
    // Browsers that keep nothing at all throw here.
    return undefined;
  }
}

function preferred() {
  const wanted = navigator.languages.map((tag) => tag.toLowerCase().split("-")[0]);
  return wanted.find((name) => Object.hasOwn(LANGUAGES, name)) ?? "en";
}

/** The name of the language that is shown: `en` or `zh`. */
export function currentLanguage() {
  return language;
}

/** Whether there is a text of this key. */
export function hasText(key) {
  return Object.hasOwn(en, key);
}

/** Shows the text of `key`; it is translated when the language changes. `gaps` fill its `{name}`s; `{ seconds }` is a time span. */
export function say(element, key, gaps = {}) {
  element.dataset.text = key;
  values.set(element, gaps);
  translateElement(element);
}

/** Gives `element` the text of `key` as its accessible name. */
export function label(element, key) {
  element.dataset.label = key;
  translateElement(element);
}

/** Shows nothing. */
export function hush(element) {
  delete element.dataset.text;
  element.textContent = "";
}

/** Translates the page and adds the switch to its header. */
export function startLanguages() {
  const group = document.createElement("div");
  group.className = "languages";
  group.setAttribute("role", "group");
  group.dataset.label = "language";
  for (const [name, { tag, name: title }] of Object.entries(LANGUAGES)) {
    const button = document.createElement("button");
    button.type = "button";
    button.lang = tag;
    button.textContent = title;
    button.dataset.language = name;
    button.addEventListener("click", () => choose(name));
    group.append(button);
  }
  document.querySelector("header").append(group);
  translate();
}

function choose(name) {
  language = name;
  try {
    sessionStorage.setItem(STORED, name);
  } catch {
    // Then the choice holds for this page.
  }
  translate();
}

function translate() {
  document.documentElement.lang = LANGUAGES[language].tag;
  document.querySelectorAll("[data-text], [data-label]").forEach(translateElement);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

function translateElement(element) {
  // The title goes on with the name of the service.
  const after = element.dataset.after ?? "";
  if (element.dataset.text) element.textContent = textOf(element.dataset.text, gapsOf(element)) + after;
  if (element.dataset.label) element.setAttribute("aria-label", textOf(element.dataset.label, {}));
}

/** The hint of a password names the least length, which the server wrote into its field. */
function gapsOf(element) {
  const field = element.dataset.of && document.getElementById(element.dataset.of);
  return field ? { min: field.minLength } : (values.get(element) ?? {});
}

function textOf(key, gaps) {
  return LANGUAGES[language].texts[key].replace(/\{(\w+)\}/g, (_, name) => shown(gaps[name]));
}

function shown(value) {
  return typeof value === "object" ? timeSpan(value.seconds) : String(value);
}

function timeSpan(seconds) {
  const units = [["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, size]) => seconds >= 2 * size) ?? ["second", 1];
  const { tag, units: unitDisplay } = LANGUAGES[language];
  const format = new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay });
  return format.format(Math.ceil(seconds / size));
}
