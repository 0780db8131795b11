// The API key, where the API asks for one: a dialog asks a person for it, the tab keeps it for as long as it lives.

import { askInDialog } from "./dialog.js";
import { Signal, h } from "./dom.js";
import { t } from "./i18n.js";
import { keepKey, key } from "./memory.js";

/** Emits when a key is given after the dialog was closed without one: what gave up in between can go on. */
export const keyGiven = new Signal();

let asking = null;
let isDeclined = false;
let isAwaited = false; // by what gave up when the dialog was closed

/** Whether the dialog is open: a request may wait for a person now. */
export const isAskingForKey = () => asking !== null;

/** Ask for a key; true once one is given, false when the dialog is closed. One dialog, however many requests wait. */
export function askForKey() {
  asking ??= question().finally(() => (asking = null));
  return asking;
}

/**
 * Return whether a request that was refused with the key `sentKey` (null: without one) can be sent again, with another
 * key. Once a person has closed the dialog, only a person opens it again: see `askForKey` and `askAgain`.
 */
export async function replaceKey(sentKey) {
  if (!asking && key() !== sentKey) return true; // given while this request was on its way
  if (!asking && isDeclined) return false;
  return askForKey();
}

/** Let the next refusal open the dialog again: a person did something that needs a key. */
export function askAgain() {
  isDeclined = false;
}

async function question() {
  const input = h("input", { id: "api-key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const content = [h("p", {}, key() ? t("key.wrong") : t("key.why")), h("label", { for: "api-key" }, t("key.label")), input];
  const isGiven = await askInDialog({ title: t("key.title"), content, submit: t("key.use"), narrow: true });
  const value = input.value.trim();
  isDeclined = !isGiven || !value;
  const goesOn = isAwaited;
  isAwaited = isDeclined;
  if (isDeclined) return false;
  keepKey(value);
  if (goesOn) keyGiven.emit();
  return true;
}
