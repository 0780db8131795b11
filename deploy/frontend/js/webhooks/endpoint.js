// One webhook: its state, what can be done with it, and its deliveries.

import { DarkroomError } from "../../client.js";
import { button, h, showToast } from "../dom.js";
import { problemBox } from "../failure.js";
import { callWhenReady, health } from "../health.js";
import { problemSentence, t } from "../late-words.js";
import { changeWebhook, getWebhook, removeWebhook, rotateSecret, sendTest } from "./calls.js";
import { deliveryList } from "./deliveries.js";
import { askForOverlap, askForWebhook, confirmRemoval } from "./form.js";
import { forgetSecrets, keepSecret, showSecret } from "./secret.js";
import { drawState, stateSentence, webhookFacts } from "./state.js";

const BUSY_MS = 1500; // between two looks while a delivery is under way
const IDLE_MS = 10_000;

/** Show a webhook below the title in `root`. Return a function that stops the view. */
export function endpointView(root, id) {
  const controller = new AbortController();
  const { hash } = location;
  const view = { id, root, hash, signal: controller.signal, webhook: null, timer: 0, round: 0, leave: () => {}, parts: null };
  const place = h("div", { class: "results", "aria-busy": "true" });
  root.append(place);
  view.place = place;
  view.list = deliveryList(id, { signal: controller.signal, refresh: () => refresh(view) });
  const leaveHealth = health.changed.listen(() => !view.webhook && health.status === "unreachable" && showProblem(view, new DarkroomError()));
  const look = () => !document.hidden && refresh(view);
  document.addEventListener("visibilitychange", look);
  refresh(view);
  return () => {
    controller.abort();
    clearTimeout(view.timer);
    document.removeEventListener("visibilitychange", look);
    leaveHealth();
    view.leave();
    forgetSecrets(hash);
  };
}

/** Ask for the webhook and its deliveries, and show them. Later answers win over earlier ones. */
async function refresh(view) {
  clearTimeout(view.timer);
  const round = (view.round += 1);
  try {
    const [webhook, page] = await Promise.all([getWebhook(view.id, view.signal), view.list.load()]);
    if (round !== view.round || view.signal.aborted) return;
    if (!view.parts) build(view, webhook);
    draw(view, webhook);
    view.list.draw(page);
  } catch (problem) {
    if (round !== view.round || view.signal.aborted) return;
    if (!view.webhook || !problem.isTransient) return showProblem(view, problem);
  }
  schedule(view);
}

function schedule(view) {
  view.timer = setTimeout(() => (document.hidden ? schedule(view) : refresh(view)), view.list.isBusy() ? BUSY_MS : IDLE_MS);
}

function showProblem(view, problem) {
  view.parts = view.webhook = null;
  view.place.replaceChildren(problemBox(problem));
  view.place.removeAttribute("aria-busy");
  view.leave();
  if (problem.isTransient) view.leave = callWhenReady(() => refresh(view));
}

function build(view, webhook) {
  const title = view.root.querySelector("h1");
  const pill = title.parentElement.querySelector(".pill") ?? h("span", { class: "pill" });
  title.textContent = webhook.url;
  title.after(pill);
  view.parts = {
    pill,
    description: h("p", {}),
    facts: h("div", {}),
    why: h("p", { class: "hook-why", role: "status" }),
    secret: h("div", {}),
    toggle: h("button", { type: "button", onclick: () => act(view, () => toggle(view)) }),
    test: button("up", t("webhooks.test"), () => act(view, () => test(view)), { class: "primary" }),
  };
  const { description, facts, why, secret } = view.parts;
  const nav = h("p", {}, h("a", { href: "#/webhooks" }, t("webhooks.all")));
  view.place.replaceChildren(nav, description, facts, why, controls(view, webhook), secret, view.list.element);
  view.place.removeAttribute("aria-busy");
  showSecret(secret, view.id);
}

function controls(view, webhook) {
  const { test: testing, toggle: toggling } = view.parts;
  const own = webhook.fixed
    ? [toggling, h("p", { class: "note" }, t("webhooks.fixed_why"))]
    : [
        toggling,
        h("button", { type: "button", onclick: () => change(view) }, t("webhooks.change_short")),
        button("key", t("webhooks.rotate"), () => act(view, () => rotate(view))),
        button("remove", t("webhooks.remove"), () => act(view, () => remove(view)), { class: "danger" }),
      ];
  return h("div", { class: "actions", role: "group", "aria-label": t("action.group", { name: webhook.url }) }, testing, own);
}

function draw(view, webhook) {
  view.webhook = webhook;
  const { pill, description, facts, why, toggle: toggling, test: testing } = view.parts;
  view.root.querySelector("h1").textContent = webhook.url;
  drawState(pill.parentElement, pill, webhook);
  description.textContent = webhook.description;
  description.hidden = webhook.fixed || !webhook.description;
  facts.replaceChildren(webhookFacts(webhook));
  const sentence = stateSentence(webhook) ?? "";
  if (why.textContent !== sentence) why.textContent = sentence;
  toggling.textContent = t(webhook.disabled ? "webhooks.enable" : "webhooks.disable");
  testing.disabled = webhook.disabled;
}

/** Do something, say why it failed, and show what became of it. */
async function act(view, perform) {
  try {
    await perform();
  } catch (problem) {
    showToast(problemSentence(problem));
  }
  if (!view.signal.aborted && location.hash === view.hash) refresh(view); // it may have been removed
}

async function test(view) {
  await sendTest(view.id);
  showToast(t("webhooks.test_sent"));
}

async function toggle(view) {
  const { disabled } = await changeWebhook(view.id, { disabled: !view.webhook.disabled });
  showToast(t(disabled ? "webhooks.now_disabled" : "webhooks.now_enabled"));
}

async function change(view) {
  const changed = await askForWebhook((facts) => changeWebhook(view.id, facts), view.webhook);
  if (changed && !view.signal.aborted) refresh(view);
}

async function rotate(view) {
  const seconds = await askForOverlap();
  if (seconds === null) return;
  keepSecret(await rotateSecret(view.id, seconds));
  showSecret(view.parts.secret, view.id);
}

async function remove(view) {
  if (!(await confirmRemoval(view.webhook))) return;
  await removeWebhook(view.id);
  showToast(t("webhooks.removed"));
  location.hash = "#/webhooks";
}
