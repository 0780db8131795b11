// Whether events are sent to a webhook, in words and as a colour.

import { h } from "../dom.js";
import { formatTime } from "../format.js";
import { apiLabel, t } from "../late-words.js";

/** Return the state of a webhook: working, failing, owner (disabled by its owner), gone, or given_up. */
export function stateOf({ disabled, disabled_reason: reason, failing_since: since }) {
  if (disabled) return { owner: "owner", gone: "gone", failing: "given_up" }[reason] ?? "owner";
  return since ? "failing" : "working";
}

const COLOURS = { working: "done", failing: "processing", owner: "cancelled", gone: "failed", given_up: "failed" };

/** Show the state of a webhook in a pill; a status of jobs gives `element` the colour. */
export function drawState(element, pill, webhook) {
  const state = stateOf(webhook);
  element.dataset.status = COLOURS[state];
  pill.textContent = apiLabel("hook", state);
}

/** Return the sentence about a state that someone should know more of; null if there is none. */
export function stateSentence(webhook) {
  const state = stateOf(webhook);
  if (state === "working") return null;
  return t(`hook_why.${state}`, { since: formatTime(state === "failing" ? webhook.failing_since : webhook.disabled_at) });
}

/** Return what is sent, and since when, in one line. */
export function webhookFacts({ events, thin, created_at: created, fixed }) {
  const parts = [events.join(", "), thin && t("webhooks.thin"), fixed ? t("webhooks.fixed") : t("webhooks.created", { time: formatTime(created) })];
  return h("p", { class: "sum" }, parts.filter(Boolean).join(" · "));
}
