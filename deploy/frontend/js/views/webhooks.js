// #/webhooks : where events of jobs are sent. #/webhooks/{webhook_id} : one of these, see endpoint.js. Loaded late.

import { DarkroomError } from "../../client.js";
import { button, h } from "../dom.js";
import { problemBox } from "../failure.js";
import { callWhenReady, health } from "../health.js";
import { t } from "../late-words.js";
import { createWebhook, listWebhooks } from "../webhooks/calls.js";
import { endpointView } from "../webhooks/endpoint.js";
import { askForWebhook } from "../webhooks/form.js";
import { keepSecret } from "../webhooks/secret.js";
import { drawState, stateSentence, webhookFacts } from "../webhooks/state.js";

/** Show all webhooks, or the one with an id, below the title in `root`. Return a function that stops the view. */
export function webhooks(root, id) {
  addStyles();
  return typeof id === "string" ? endpointView(root, id) : listView(root);
}

function addStyles() {
  if (!document.getElementById("webhooks-styles")) document.head.append(h("link", { id: "webhooks-styles", rel: "stylesheet", href: "webhooks.css" }));
}

function listView(root) {
  const controller = new AbortController();
  const results = h("div", { class: "results", "aria-busy": "true" });
  const view = { signal: controller.signal, results, isShown: false, leave: () => {} };
  root.firstChild.append(button("link", t("webhooks.new"), create, { class: "primary" }));
  root.append(h("p", { class: "sum" }, t("webhooks.about")), results);
  load(view);
  const leaveHealth = health.changed.listen(() => !view.isShown && health.status === "unreachable" && showProblem(view, new DarkroomError()));
  return () => {
    controller.abort();
    leaveHealth();
    view.leave();
  };
}

async function load(view) {
  try {
    const found = await listWebhooks(view.signal);
    view.isShown = true;
    view.results.replaceChildren(found.length ? h("ul", { class: "hooks" }, found.map(row)) : h("p", { class: "nothing" }, t("webhooks.none")));
    view.results.removeAttribute("aria-busy");
  } catch (problem) {
    if (!view.signal.aborted) showProblem(view, problem);
  }
}

function showProblem(view, problem) {
  view.results.replaceChildren(problemBox(problem));
  view.results.removeAttribute("aria-busy");
  view.leave();
  if (problem.isTransient) view.leave = callWhenReady(() => load(view));
}

function row(webhook) {
  const pill = h("span", { class: "pill" });
  const why = stateSentence(webhook);
  const element = h(
    "li",
    {},
    h("a", { href: `#/webhooks/${webhook.webhook_id}`, class: "hook-url" }, webhook.url),
    pill,
    !webhook.fixed && webhook.description && h("p", {}, webhook.description),
    webhookFacts(webhook),
    why && h("p", { class: "hook-why" }, why),
  );
  drawState(element, pill, webhook);
  return element;
}

async function create() {
  const created = await askForWebhook(createWebhook);
  if (!created) return;
  keepSecret(created);
  location.hash = `#/webhooks/${created.webhook_id}`;
}
