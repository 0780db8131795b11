// Why there is no result, in a sentence, with what can be done about it.

import { askJson } from "./api.js";
import { button, h, say } from "./dom.js";
import { ruleSentence, sentence, t, word } from "./i18n.js";
import { lookAgain } from "./jobs.js";
import { askForKey } from "./keys.js";

/** Show the failure of a job: the image is to blame, or it was tried too often and can be tried again. */
export function jobFailure(job) {
  const { failure, status } = job;
  if (!failure) return null;
  const where = failure.stage && t("failure.at", { stage: word("stage", failure.stage) });
  const advice = t(status === "dead" ? "failure.dead" : "failure.final");
  return box(failure, [h("p", { class: "advice" }, [where, advice].filter(Boolean).join(" ")), status === "dead" && retry(job)]);
}

/** Show a problem: what the API, or this page, has against a request. Where it lacks a key, one can be given. */
export function problemBox(problem, ...below) {
  return box(problem, [problem.code === "unauthorized" && button("key", t("key.give"), askForKey), ...below]);
}

function box(told, below) {
  const rules = (told.errors ?? []).map((rule) => h("li", {}, ruleSentence(rule)));
  return h(
    "div",
    { class: "failure" },
    h("p", { class: "failure-sentence" }, sentence(told), " ", told.code !== "refused_here" && h("code", {}, told.code)),
    rules.length > 0 && h("ul", {}, rules),
    below,
  );
}

function retry(job) {
  const note = h("p", { class: "note", role: "status" });
  const go = button("again", t("action.retry"), async () => {
    go.disabled = true;
    try {
      await askJson(`/jobs/${job.task_id}/retry`, { method: "POST" });
      say(t("announce.retried", { name: job.original.name ?? job.task_id }));
    } catch (problem) {
      note.textContent = sentence(problem);
      go.disabled = false;
    }
    lookAgain(job.task_id);
  });
  return h("div", {}, go, note);
}
