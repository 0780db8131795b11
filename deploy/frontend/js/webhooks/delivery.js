// One delivery: its state and its last try in a line; all tries and the payload when it is unfolded.

import { button, h, showToast } from "../dom.js";
import { formatDuration, formatTime } from "../format.js";
import { apiLabel, problemSentence, t } from "../late-words.js";
import { getDelivery, redeliver } from "./calls.js";

const COLOURS = { pending: "processing", delivered: "done", failed: "failed" };

/**
 * Build the row of a delivery in a list. `update(delivery)` draws it; what is unfolded, and the focus, stay. `isKept`: the
 * user has sent it again, and wants to see how that ends.
 */
export function deliveryRow({ signal, refresh }) {
  const row = { delivery: null, shown: "", isKept: false, signal };
  row.line = h("summary", {});
  row.body = h("div", { class: "delivery-body" });
  row.details = h("details", { ontoggle: () => row.details.open && drawBody(row) }, row.line, row.body);
  row.again = button("again", "", () => sendAgain(row, refresh), { class: "plain again" });
  row.element = h("li", {}, row.details, row.again);
  row.update = (delivery) => update(row, delivery);
  return row;
}

function update(row, delivery) {
  const state = JSON.stringify(delivery);
  if (row.shown === state) return;
  Object.assign(row, { shown: state, delivery });
  row.element.dataset.status = COLOURS[delivery.status] ?? "";
  row.line.replaceChildren(...summary(delivery));
  const words = t(delivery.status === "pending" ? "delivery.now" : "delivery.again");
  row.again.lastChild.textContent = words;
  row.again.setAttribute("aria-label", t("delivery.again_of", { words, type: delivery.type, time: formatTime(delivery.created_at) }));
  if (row.details.open) drawBody(row);
}

function summary({ status, type, created_at: created, next_try_at: next, try_count: count, tries }) {
  const last = tries.at(-1);
  const facts = [formatTime(created), last && answerOf(last), last && formatDuration(last.duration_ms), count > 1 && t("timeline.attempts", { count })];
  return [
    h("span", { class: "pill" }, apiLabel("delivery", status)),
    h("span", { class: "delivery-type" }, type),
    h("span", { class: "sum" }, facts.filter(Boolean).join(" · ")),
    next && count > 0 && h("span", { class: "sum next" }, t("delivery.next", { time: formatTime(next) })),
    last && status !== "delivered" && last.answer && h("span", { class: "answer" }, last.answer),
  ].filter(Boolean);
}

/** Return the status of an answer, or why there was none. */
const answerOf = ({ status, error }) => status ?? apiLabel("try", error);

/** Show all of a delivery. The list has no payloads, so it is asked for. */
async function drawBody(row) {
  const { delivery, shown, signal } = row;
  try {
    const { payload } = await getDelivery(delivery, signal);
    if (shown !== row.shown) return; // it has changed since
    row.body.replaceChildren(...bodyOf(delivery, payload));
  } catch (problem) {
    if (!signal.aborted) row.body.replaceChildren(h("p", { class: "note" }, problemSentence(problem)));
  }
}

function bodyOf({ event_id: id, task_id: taskId, tries }, payload) {
  const job = taskId && h("a", { href: `#/jobs/${taskId}` }, t("delivery.job"));
  const words = t("delivery.payload");
  return [
    h("p", { class: "task-id" }, "webhook-id: ", h("code", {}, id), job && " · ", job),
    tries.length ? triesTable(tries) : h("p", { class: "note" }, t("delivery.untried")),
    h("h3", {}, words),
    h("pre", { tabindex: 0, role: "region", "aria-label": words }, JSON.stringify(payload, null, 2)),
  ];
}

function triesTable(tries) {
  const heads = ["at", "status", "took", "said"].map((key) => h("th", { scope: "col" }, t(`try.${key}`)));
  const rows = tries.map((made) =>
    h("tr", {}, h("td", {}, formatTime(made.at)), h("td", {}, answerOf(made)), h("td", {}, formatDuration(made.duration_ms)), h("td", { class: "said" }, made.detail || h("code", {}, made.answer || "–"))),
  );
  const table = h("table", { class: "tries" }, h("caption", { class: "visually-hidden" }, t("delivery.tries")), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows));
  return h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": t("delivery.tries") }, table);
}

async function sendAgain(row, refresh) {
  row.again.disabled = true;
  try {
    row.update(await redeliver(row.delivery));
    row.isKept = true;
    showToast(t("delivery.sent"));
  } catch (problem) {
    showToast(problemSentence(problem));
  }
  row.again.disabled = false;
  row.again.focus(); // a disabled button loses it
  refresh();
}
