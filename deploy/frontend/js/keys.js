// The API key, if the API requires one: a dialog asks the user, and the tab stores the key until it is closed.

import { askInDialog } from "./dialog.js";
import { Signal, h } from "./dom.js";
import { t } from "./i18n.js";
import { setApiKey, getApiKey } from "./browser-storage.js";

/** Emits when the user enters a key after they closed the dialog without one: requests that gave up can be retried. */
export const keyEntered = new Signal();

let openDialog = null;
let isDeclined = false;
let hasWaitingRequests = false; // requests gave up when the dialog was closed

/** Ask for a key; resolve to whether the user gave one. All waiting requests share one dialog. */
export function askForKey() {
  openDialog ??= askInKeyDialog().finally(() => (openDialog = null));
  return openDialog;
}

/**
 * Return whether a request that was refused with `sentKey` (null: no key) can be sent again with another key. After the user
 * has closed the dialog, only an action of the user opens it again: see `askForKey` and `allowKeyDialog`.
 */
export async function replaceKey(sentKey) {
  if (!openDialog && getApiKey() !== sentKey) return true; // the user entered a key during this request
  if (!openDialog && isDeclined) return false;
  return askForKey();
}

/** Let the next refusal open the dialog again: the user did something that needs a key. */
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
