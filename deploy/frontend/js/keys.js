// The API key, where the API asks for one: a dialog asks a person for it, the tab keeps it for as long as it lives.

import { askInDialog } from "./dialog.js";
import { Signal, h } from "./dom.js";
import { t } from "./i18n.js";
import { setApiKey, getApiKey } from "./browser-storage.js";

/** Emits when a key is given after the dialog was closed without one: what gave up in between can go on. */
export const keyEntered = new Signal();

let openDialog = null;
let isDeclined = false;
let hasWaitingRequests = false; // by what gave up when the dialog was closed

/** Whether the dialog is open: a request may wait for a person now. */
export const isKeyDialogOpen = () => openDialog !== null;

/** Ask for a key; true once one is given, false when the dialog is closed. One dialog, however many requests wait. */
export function askForKey() {
  openDialog ??= askInKeyDialog().finally(() => (openDialog = null));
  return openDialog;
}

/**
 * Return whether a request that was refused with the key `sentKey` (null: without one) can be sent again, with another
 * key. Once a person has closed the dialog, only a person opens it again: see `askForKey` and `allowKeyDialog`.
 */
export async function replaceKey(sentKey) {
  if (!openDialog && getApiKey() !== sentKey) return true; // given while this request was on its way
  if (!openDialog && isDeclined) return false;
  return askForKey();
}

/** Let the next refusal open the dialog again: a person did something that needs a key. */
export function allowKeyDialog() {
  isDeclined = false;
}

async function askInKeyDialog() {
  const input = h("input", { id: "api-key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const content = [h("p", {}, getApiKey() ? t("key.wrong") : t("key.why")), h("label", { for: "api-key" }, t("key.label")), input];
  const isGiven = await askInDialog({ title: t("key.title"), content, submit: t("key.use"), narrow: true });
  const value = input.value.trim();
  isDeclined = !isGiven || !value;
  const goesOn = hasWaitingRequests;
  hasWaitingRequests = isDeclined;
  if (isDeclined) return false;
  setApiKey(value);
  if (goesOn) keyEntered.emit();
  return true;
}
