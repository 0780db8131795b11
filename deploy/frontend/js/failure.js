// Why a job or a request has no result, and what the user can do.

import { fetchJson } from "./api.js";
import { button, h, showToast } from "./dom.js";
import { ruleSentence, problemSentence, t, apiLabel } from "./i18n.js";
import { refreshJob } from "./job-subscriptions.js";
import { askForKey } from "./keys.js";

/** Show the failure of a job. A failed image is final; a dead job, or one that another server failed, has a retry button. */
export function jobFailure(job) {
  const { failure, status } = job;
  if (!failure) return null;
  const where = failure.stage && t("failure.at", { stage: apiLabel("stage", failure.stage) });
  const isOutside = ["fetch", "export"].includes(failure.stage);
  const advice = t(status === "dead" ? "failure.dead" : isOutside ? "failure.outside" : "failure.final");
  return failureBox(failure, [h("p", { class: "advice" }, [where, advice].filter(Boolean).join(" ")), (status === "dead" || isOutside) && retry(job)]);
}

/** Show the problem of a request, from the API or from this page. If a key is missing, offer to enter one. */
export function problemBox(problem, ...below) {
  return failureBox(problem, [problem.code === "unauthorized" && button("key", t("key.give"), askForKey), ...below]);
}

function failureBox(problem, below) {
  const sentence = problemSentence(problem);
  const sentences = (problem.errors ?? []).map(ruleSentence);
  const rules = sentences.length === 1 && sentences[0] === sentence ? [] : sentences.map((rule) => h("li", {}, rule));
  return h(
    "div",
    { class: "failure" },
    h("p", { class: "failure-sentence" }, sentence, " ", problem.code !== "refused_here" && h("code", {}, problem.code)),
    rules.length > 0 && h("ul", {}, rules),
    below,
  );
}

function retry(job) {
  const note = h("p", { class: "note", role: "status" });
  const go = button("again", t("action.retry"), async () => {
    go.disabled = true;
    try {
      await fetchJson(`/jobs/${job.task_id}/retry`, { method: "POST" });
      showToast(t("announce.retried", { name: job.original.name ?? job.task_id }));
    } catch (problem) {
      note.textContent = problemSentence(problem);
      go.disabled = false;
    }
    refreshJob(job.task_id);
  });
  return h("div", {}, go, note);
}
