// The dialogs of a webhook: create, change, replace its secret, remove.

import { askInDialog } from "../dialog.js";
import { h } from "../dom.js";
import { problemBox } from "../failure.js";
import { t } from "../late-words.js";

const EVENTS = ["job.done", "job.failed", "job.dead", "job.cancelled", "job.expired", "rendition.done"];
const DEFAULT_EVENTS = EVENTS.filter((type) => type.startsWith("job."));
const HOUR_SECONDS = 3600;
const OVERLAPS = { none: 0, hour: HOUR_SECONDS, day: 24 * HOUR_SECONDS, week: 7 * 24 * HOUR_SECONDS };

/**
 * Ask for the facts of a webhook, and have `save` send them, until that works or the user declines. Return what `save`
 * returned, or null. `webhook` is the one to change; without one, the dialog is for a new one.
 */
export async function askForWebhook(save, webhook = null) {
  const { content, read } = webhookFields(webhook);
  const problems = h("div", { role: "alert" });
  const check = () => (read().events.length ? null : t("webhooks.needs_event"));
  const title = t(webhook ? "webhooks.change" : "webhooks.new");
  while (await askInDialog({ title, content: [content, problems], submit: t(webhook ? "webhooks.save" : "webhooks.create"), check })) {
    try {
      return await save(read());
    } catch (problem) {
      problems.replaceChildren(problemBox(problem));
    }
  }
  return null;
}

function webhookFields(webhook) {
  const url = h("input", { type: "url", required: true, maxlength: 2048, autocomplete: "off", spellcheck: "false", placeholder: "https://", value: webhook?.url });
  const description = h("input", { type: "text", maxlength: 200, value: webhook?.description });
  const wanted = webhook?.events ?? DEFAULT_EVENTS;
  const types = [...EVENTS, ...wanted.filter((type) => !EVENTS.includes(type))]; // a newer server may know more
  const boxes = types.map((value) => h("input", { type: "checkbox", value, checked: wanted.includes(value) }));
  const thin = h("input", { type: "checkbox", checked: webhook?.thin });
  const field = (label, input) => h("label", { class: "field wide" }, h("span", {}, label), input);
  const event = (box) => h("label", { class: "check" }, box, h("span", {}, h("code", {}, box.value), " ", h("small", {}, eventWords(box.value))));
  const content = h(
    "div",
    { class: "hook-form" },
    field(t("webhooks.url"), url),
    field(t("webhooks.description"), description),
    h("fieldset", { class: "events" }, h("legend", {}, t("webhooks.events")), boxes.map(event)),
    h("label", { class: "check" }, thin, h("span", {}, t("webhooks.thin_why"))),
  );
  const read = () => ({
    url: url.value.trim(),
    description: description.value.trim(),
    events: boxes.filter((box) => box.checked).map((box) => box.value),
    thin: thin.checked,
  });
  return { content, read };
}

const eventWords = (type) => (EVENTS.includes(type) ? t(`event.${type}`) : "");

/** Ask for how long the old secret signs as well. Return seconds; null if the user declines. */
export async function askForOverlap() {
  const inputs = Object.entries(OVERLAPS).map(([name, value]) => h("input", { type: "radio", name: "overlap", value, checked: name === "day", "aria-label": t(`overlap.${name}`) }));
  const choices = inputs.map((input) => h("label", { class: "choice" }, input, h("span", {}, input.ariaLabel)));
  const content = [h("p", {}, t("rotate.why")), h("fieldset", { class: "choices" }, h("legend", {}, t("rotate.overlap")), choices)];
  const isConfirmed = await askInDialog({ title: t("rotate.title"), content, submit: t("rotate.submit"), narrow: true });
  return isConfirmed ? Number(inputs.find((input) => input.checked).value) : null;
}

/** Ask whether to remove a webhook. */
export const confirmRemoval = ({ url }) =>
  askInDialog({ title: t("remove.title"), about: url, content: h("p", {}, t("remove.why")), submit: t("remove.submit"), narrow: true });
