// The language of the page. Every text is said by its key, so that switching translates what is shown and loses nothing.
//
// The server chooses the language that the browser prefers, and writes the page's own texts into it; what scripts say beyond them is in modules. The page's
// texts in the other language are loaded when they are asked for.
const LANGUAGES = {
  en: { tag: "en", units: "long" },
  zh: { tag: "zh-Hans", units: "short" },
};
// In the storage of the tab: the pages set no cookie and keep nothing after the tab is closed.
const STORED = "language";

/** The parts of what the scripts of this page say, by the ends of the files' names. */
const parts = document.documentElement.dataset.texts.trim().split(/\s+/);
const served = Object.keys(LANGUAGES).find((name) => LANGUAGES[name].tag === document.documentElement.lang) ?? "en";
const texts = { en: {}, zh: {}, [served]: servedTexts() };
/** What fills the gaps of a text, by the element that shows it. */
const values = new WeakMap();
let language = served;
await choose(remembered());
if (language === served) await load(served);

/** The texts that the server wrote into the page, by their keys. */
function servedTexts() {
  const found = {};
  for (const element of document.querySelectorAll("[data-text], [data-label]")) {
    const { dataset, textContent } = element;
    if (dataset.text) found[dataset.text] = textContent.slice(0, textContent.length - (dataset.after ?? "").length);
    if (dataset.label) found[dataset.label] = element.getAttribute("aria-label");
  }
  return found;
}

function remembered() {
  try {
    const name = sessionStorage.getItem(STORED);
    return Object.hasOwn(LANGUAGES, name) ? name : undefined;
  } catch {
    // Browsers that keep nothing at all throw here.
    return undefined;
  }
}

async function load(name) {
  const modules = parts.map((part) => import(`./${name}-${part}.js`));
  // The key of the switch is on every page.
  const page = Object.hasOwn(texts[name], "language") ? {} : fetch(`/pages/${name}.json`).then((answer) => (answer.ok ? answer.json() : Promise.reject(answer)));
  const loaded = await Promise.all([page, ...modules]);
  Object.assign(texts[name], ...loaded.map((one) => one.default ?? one));
}

/** Loads the texts of a part that not every visit needs. */
export async function addTexts(part) {
  if (!parts.includes(part)) parts.push(part);
  await load(language);
}

/** The name of the language that is shown: `en` or `zh`. */
export function currentLanguage() {
  return language;
}

/** Its tag, for `Intl`. */
export function languageTag() {
  return LANGUAGES[language].tag;
}

/** Whether there is a text of this key. */
export function hasText(key) {
  return Object.hasOwn(texts[language], key);
}

/**
 * Shows the text of `key`; it is translated when the language changes. `gaps` fill its `{name}`s: a text, a time span
 * (`{ seconds }`), a time (`{ at }`, RFC 3339), a day (`{ day }`), or another text (`{ key }`).
 */
export function say(element, key, gaps = {}) {
  element.dataset.text = key;
  element.hidden = false;
  values.set(element, gaps);
  translateElement(element);
}

/** Gives `element` the text of `key` as its accessible name. */
export function label(element, key, gaps = {}) {
  element.dataset.label = key;
  values.set(element, gaps);
  translateElement(element);
}

/** Shows nothing. */
export function hush(element) {
  delete element.dataset.text;
  element.textContent = "";
}

/** Starts the switch in the header. */
export function startLanguages() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => choose(button.dataset.language));
  }
}

async function choose(name) {
  if (!name || name === language) return;
  try {
    await load(name);
  } catch {
    // Without a connection the page stays in the language that it has.
    return;
  }
  language = name;
  try {
    sessionStorage.setItem(STORED, name);
  } catch {
    // The choice then lasts until the page is left.
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

/** Translates what was added to the page since it was shown. */
export function translateIn(element) {
  element.querySelectorAll("[data-text], [data-label]").forEach(translateElement);
}

function translateElement(element) {
  // The title goes on with the name of the service.
  const after = element.dataset.after ?? "";
  if (element.dataset.text) element.textContent = textOf(element.dataset.text, gapsOf(element)) + after;
  if (element.dataset.label) element.setAttribute("aria-label", textOf(element.dataset.label, values.get(element) ?? {}));
}

/** The hint of a password names the least length, which the server wrote into its field. */
function gapsOf(element) {
  const field = element.dataset.of && document.getElementById(element.dataset.of);
  return field ? { min: field.minLength } : (values.get(element) ?? {});
}

function textOf(key, gaps) {
  return texts[language][key].replace(/\{(\w+)\}/g, (_, name) => shown(gaps[name]));
}

function shown(value) {
  if (typeof value !== "object" || value === null) return String(value);
  if (value.key) return textOf(value.key, value);
  if (value.seconds) return timeSpan(value.seconds);
  const style = value.at ? { dateStyle: "medium", timeStyle: "short" } : { dateStyle: "medium" };
  const text = new Intl.DateTimeFormat(languageTag(), style).format(new Date(value.at ?? value.day));
  // A line does not break inside a date.
  return text.replaceAll(" ", "\u00a0");
}

function timeSpan(seconds) {
  const units = [["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, size]) => seconds >= 2 * size) ?? ["second", 1];
  const { tag, units: unitDisplay } = LANGUAGES[language];
  return new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay }).format(Math.ceil(seconds / size));
}
