// The page's words: two dictionaries, plurals by Intl, and what the API's codes mean in Russian.

import { loadPreference, savePreference } from "./browser-storage.js";
import * as en from "./locales/en.js";
import * as ru from "./locales/ru.js";

export const LANGUAGES = ["en", "ru"];

const DICTIONARIES = { en, ru };
let language = initial();
let dictionary = dictionaryOf(language);

function initial() {
  const wanted = [loadPreference("language"), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Russian has sentences for the API's codes too, English takes the API's own. */
function dictionaryOf(tag) {
  const { default: words, codes = {}, rules = {} } = DICTIONARIES[tag];
  return { words, codes, rules, plurals: new Intl.PluralRules(tag) };
}

/** Return the language that is spoken. */
export const currentLanguage = () => language;

/** Speak another language from now on, here and at the next visit. */
export function setLanguage(tag) {
  dictionary = dictionaryOf(tag);
  language = tag;
  savePreference("language", tag);
}

/** Return words by their key, with `{names}` filled in; those with plural forms take theirs by `count`. */
export function t(key, values = {}) {
  const found = dictionary.words[key] ?? key;
  return interpolate(typeof found === "string" ? found : found[dictionary.plurals.select(values.count)] ?? found.other, values);
}

/** Return a word of the API (a state, a stage, a kind, a rendition) as people say it; unknown ones as they are. */
export const apiLabel = (group, name) => dictionary.words[`${group}.${name}`] ?? name;

/** Return the sentence of a failure or a problem in the language that is spoken, where it has one, else the API's own. */
export function problemSentence({ code, message, detail }) {
  if (code === "unreachable" || code === "unauthorized") return t(`problem.${code}`);
  return dictionary.codes[code] || message || detail || t("problem.unknown");
}

/** Return what one broken rule says: from its numbers where the language can, else in the API's words. */
export function ruleSentence({ rule, message, limit, actual }) {
  const known = limit !== undefined && actual !== undefined && dictionary.rules[rule];
  return known ? interpolate(known, { limit: number(limit), actual: number(actual) }) : message;
}

/** Put the words into every element that names its own: `data-t` for text, `data-t-label` for its aria-label. */
export function translate(root) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}

const interpolate = (text, values) => text.replace(/{(\w+)}/g, (whole, name) => values[name] ?? whole);
const number = (value) => (typeof value === "number" ? value.toLocaleString(language) : value);
