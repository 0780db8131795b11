// The words of the parts that are loaded late, in both languages: the language can be changed without the server.

import { addWords } from "./i18n.js";
import en from "./locales/en-late.js";
import ru from "./locales/ru-late.js";

addWords("en", en);
addWords("ru", ru);

export { apiLabel, currentLanguage, problemSentence, t } from "./i18n.js";
