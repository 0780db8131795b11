// The one way to ask in a dialog: Enter answers yes wherever it is pressed, Escape and Cancel answer no.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const FIRST = "input, select, .grip";
let count = 0;

/**
 * Ask, and resolve to whether the answer is yes. `check` returns a sentence while the answer is not complete: the
 * dialog shows it and stays open.
 */
export function askInDialog({ title, about = null, content, submit, narrow = false, check = () => null }) {
  const id = `dialog-title-${(count += 1)}`; // a key may be asked for above another dialog
  const missing = h("p", { class: "missing", role: "alert" });
  const yes = h("button", { class: "primary" }, submit);
  const no = h("button", { type: "button", onclick: () => dialog.close() }, t("action.cancel")); // never what Enter presses
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
