// The API key, where the API wants one: asked for in a dialog, kept for as long as the tab lives.

import { askInDialog } from "./dialog.js";
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

async function question() {
  const input = h("input", { id: "api-key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const content = [h("p", {}, key() ? t("key.wrong") : t("key.why")), h("label", { for: "api-key" }, t("key.label")), input];
  const isGiven = await askInDialog({ title: t("key.title"), content, submit: t("key.use"), narrow: true });
  if (!isGiven || !input.value.trim()) return false;
  keepKey(input.value.trim());
  keyGiven.emit();
  return true;
}
