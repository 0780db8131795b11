// The choice of a preset in the form of an upload. Loaded late: without the server there is nothing to choose.

import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Return a field with these presets; the one that an upload has by itself needs no value. */
export function presetField(names) {
  const choices = names.map((name) => h("option", { value: name === "default" ? "" : name }, name));
  const select = h("select", { name: "preset" }, choices);
  if (names.includes("default")) select.value = "";
  return h("label", { class: "field" }, h("span", {}, t("form.preset")), select);
}
