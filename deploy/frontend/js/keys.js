// The API key, where the API wants one: asked for in a dialog, kept for as long as the tab lives.

import { Signal, h } from "./dom.js";
import { t } from "./i18n.js";
import { keepKey, key } from "./memory.js";

export const keyGiven = new Signal();

let asking = null;

/** Ask for a key; true once one was given, false when the question was closed. Asked once however many want it. */
export function askForKey() {
  asking ??= question().finally(() => (asking = null));
  return asking;
}

function question() {
  const input = h("input", { id: "api-key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const dialog = h(
    "dialog",
    { class: "dialog narrow", "aria-labelledby": "key-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "key-title" }, t("key.title")),
      h("p", {}, key() ? t("key.wrong") : t("key.why")),
      h("label", { for: "api-key" }, t("key.label")),
      input,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { value: "cancel", formnovalidate: true }, t("action.cancel")),
        h("button", { class: "primary", value: "ok" }, t("key.use")),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok" && input.value.trim();
      if (given) keepKey(given);
      dialog.remove();
      resolve(Boolean(given));
      if (given) keyGiven.emit();
    });
  });
}
