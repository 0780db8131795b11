// The page's texts: two dictionaries, plurals by Intl, and Russian sentences for the API's codes.

import { loadPreference, savePreference } from "./browser-storage.js";
import en from "./locales/en.js";
import ru from "./locales/ru.js";

export const LANGUAGES = ["en", "ru"];

const DICTIONARIES = { en, ru };
const NO_SENTENCES = { codes: {}, rules: {} };
let russian = NO_SENTENCES;
let language = initial();
let plurals = new Intl.PluralRules(language);

function initial() {
  const wanted = [loadPreference("language"), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Russian also has sentences for the API's codes; English uses the API's own. */
const sentences = () => (language === "ru" ? russian : NO_SENTENCES);

/** Load the Russian sentences if they are needed. Return whether there are new ones: without them, the API's own are shown. */
export async function loadSentences() {
  if (language !== "ru" || russian !== NO_SENTENCES) return false;
  try {
    russian = await import("./locales/ru-problems.js"); // late: codes come from the server
  } catch {
    return false;
  }
  return true;
}

/** Add the words of a part that is loaded late to the dictionary of a language. */
export const addWords = (tag, words) => Object.assign(DICTIONARIES[tag], words);

/** Return the current language. */
export const currentLanguage = () => language;

/** Set the language for this visit and the next ones. */
export function setLanguage(tag) {
  plurals = new Intl.PluralRules(tag);
  language = tag;
  savePreference("language", tag);
}

/** Return the text of a key, with `{names}` filled in. `count` selects the plural form. */
export function t(key, values = {}) {
  const found = DICTIONARIES[language][key] ?? key;
  return interpolate(typeof found === "string" ? found : found[plurals.select(values.count)] ?? found.other, values);
}

/** Return the label of a name in the API (state, stage, kind, rendition); the name itself if it has none. */
export const apiLabel = (group, name) => DICTIONARIES[language][`${group}.${name}`] ?? name;

/** Return the sentence for a failure or a problem: the current language's, or else the API's own. */
export function problemSentence({ code, message, detail }) {
  if (code === "unreachable" || code === "unauthorized") return t(`problem.${code}`);
  const said = message || detail;
  const known = sentences().codes[code];
  return (known ? interpolate(known, { message: said }) : said) || t("problem.unknown");
}

/** Return the sentence for a broken rule: the current language's with the numbers, or else the API's own. */
export function ruleSentence({ rule, message, limit, actual }) {
  const known = limit !== undefined && actual !== undefined && sentences().rules[rule];
  return known ? interpolate(known, { limit: number(limit), actual: number(actual) }) : message;
}

/** Set the texts of all marked elements: `data-t` is the key of the text, `data-t-label` of the aria-label. */
export function translate(root) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}

const interpolate = (text, values) => text.replace(/{(\w+)}/g, (whole, name) => values[name] ?? whole);
const number = (value) => (typeof value === "number" ? value.toLocaleString(language) : value);
