// All dialogs of the page. Enter confirms from every field; Escape and Cancel decline.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const FIRST = "input, select, .grip";
let count = 0;

/**
 * Open a dialog and resolve to whether the user confirmed it. `check` returns a sentence if the input is incomplete: the
 * dialog then shows the sentence and stays open.
 */
export function askInDialog({ title, about = null, content, submit, narrow = false, check = () => null }) {
  const id = `dialog-title-${(count += 1)}`; // unique: the key dialog can open above another one
  const missing = h("p", { class: "missing", role: "alert" });
  const yes = h("button", { class: "primary" }, submit);
  const no = h("button", { type: "button", onclick: () => dialog.close() }, t("action.cancel")); // type button, so that Enter never presses it
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id }, title, about && h("small", {}, about)),
    content,
    missing,
    h("div", { class: "dialog-actions" }, no, yes),
  );
  const dialog = h("dialog", { class: narrow ? "dialog narrow" : "dialog", "aria-labelledby": id }, form);
  let isYes = false;
  form.addEventListener("submit", (event) => {
    missing.textContent = check() ?? "";
    isYes = missing.textContent === "";
    if (!isYes) event.preventDefault();
  });
  document.body.append(dialog);
  dialog.showModal();
  ([...form.querySelectorAll(FIRST)].find((field) => !field.closest("details")) ?? yes).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isYes);
    });
  });
}
