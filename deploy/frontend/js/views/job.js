// #/jobs/{task_id} : one job, whole: its pictures, every stage, and where else it can be looked at.

import { API, Problem, ask, show } from "../api.js";
import { actions } from "../actions.js";
import { album } from "../album.js";
import { comparison } from "../compare.js";
import { button, h, icon, say } from "../dom.js";
import { best, download, fileName, labelOf } from "../downloads.js";
import { jobFailure, problemBox } from "../failure.js";
import { dimensions, moment, saving, share, size } from "../format.js";
import { health } from "../health.js";
import { sentence, t, word } from "../i18n.js";
import { follow } from "../jobs.js";
import { forgetJob } from "../memory.js";
import { elsewhere } from "../settings.js";
import { stageTable } from "../timeline.js";
import { ENDED } from "../watch.js";

const TICK_MS = 200;
const COMPARABLE = new Set(["previews", "grayscale"]); // those that keep the picture's shape

/** Show a job in `root`; returns what takes it away. */
export function jobView(root, taskId) {
  const parts = {
    title: h("h1", { tabindex: -1 }, taskId),
    pill: h("span", { class: "pill" }),
    facts: h("p", { class: "sum" }),
    viewer: h("div", { class: "viewer" }),
    side: h("div", { class: "side" }),
    stages: stageTable(),
  };
  const page = { taskId, job: null, shown: {}, picked: null, free: () => {}, parts };
  const listener = ({ job, problem }) => (job ? draw(page, job) : lost(root, problem, taskId));
  root.append(
    h("div", { class: "view-head" }, h("div", {}, parts.title, parts.facts), parts.pill),
    h("div", { class: "job-columns" }, parts.viewer, parts.side),
    h("section", { class: "panel" }, h("h2", {}, t("job.stages")), h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": t("job.stages") }, parts.stages.element)),
  );
  const leave = follow(taskId, listener, { first: true });
  const timer = setInterval(() => page.job && !ENDED.has(page.job.status) && stages(page), TICK_MS);
  const leaveHealth = health.changed.listen(() => !page.job && sayWhyEmpty(parts.viewer));
  return () => {
    leave();
    leaveHealth();
    clearInterval(timer);
    page.free();
  };
}

/** Where there is no job to show yet, say whether the server answers. */
function sayWhyEmpty(viewer) {
  viewer.replaceChildren(health.status === "unreachable" ? problemBox(new Problem()) : "");
}

function lost(root, problem, taskId) {
  if (problem.code === "job_not_found") forgetJob(taskId);
  root.replaceChildren(h("h1", { tabindex: -1 }, t("job.lost")), problemBox(problem));
}

function draw(page, job) {
  page.job = job;
  const { parts } = page;
  parts.title.textContent = job.original.name ?? job.task_id;
  parts.pill.textContent = word("status", job.status);
  parts.pill.parentElement.dataset.status = job.status;
  parts.facts.textContent = facts(job);
  redraw(page, "viewer", JSON.stringify([job.renditions, job.status]), () => viewer(page));
  redraw(page, "side", JSON.stringify([job.renditions, job.status, job.failure]), () => parts.side.replaceChildren(...side(job)));
  stages(page);
}

/** Build a part anew only when what it shows has changed: focus and pictures stay. */
function redraw(page, part, state, build) {
  if (page.shown[part] === state) return;
  page.shown[part] = state;
  build();
}

function facts(job) {
  const { bytes, width, height, media_type: type } = job.original;
  const parts = [word("kind", job.kind), size(bytes), width && dimensions(width, height), type, moment(job.created_at)];
  if (!ENDED.has(job.status)) parts.push(share(job.progress));
  return parts.filter(Boolean).join(" · ");
}

function viewer(page) {
  const { job, parts } = page;
  page.free();
  const names = Object.keys(job.renditions);
  if (!names.length) {
    const note = ENDED.has(job.status) ? t("viewer.nothing") : t("viewer.waiting");
    return parts.viewer.replaceChildren(h("div", { class: "viewer-empty" }, h("p", {}, note)));
  }
  if (!names.includes(page.picked)) page.picked = null;
  const picture = h("div", { class: "viewer-picture" });
  const file = album.fileOf(job.task_id);
  const tabs = names.map((name) => tab(name, labelOf(job, name), name === (page.picked ?? best(job)), () => ((page.picked = name), display(page, picture, name))));
  if (COMPARABLE.has(job.kind) && job.status === "done") tabs.push(file ? compareTab(page, picture, file) : original(page, picture));
  display(page, picture, page.picked ?? best(job));
  parts.viewer.replaceChildren(picture, h("div", { class: "choices", role: "group", "aria-label": t("viewer.pick") }, tabs));
}

function tab(name, words, checked, onchange) {
  const input = h("input", { type: "radio", name: "rendition", value: name, checked, onchange });
  return h("label", { class: "choice" }, input, h("span", {}, words));
}

function compareTab(page, picture, file) {
  const input = h("input", { type: "radio", name: "rendition", value: "compare", onchange: () => compare(page, picture, file) });
  return h("label", { class: "choice" }, input, h("span", {}, icon("compare"), t("compare.title")));
}

/** After a reload the browser has lost the file: it can be shown to the page again, it is sent nowhere. */
function original(page, picture) {
  const input = h("input", { type: "file", accept: "image/*", class: "visually-hidden", id: "compare-file" });
  input.addEventListener("change", () => input.files.length && compare(page, picture, input.files[0]));
  return h("span", { class: "choice" }, input, h("label", { for: "compare-file", title: t("compare.pick_why") }, icon("compare"), t("compare.pick")));
}

function display(page, picture, name) {
  page.free();
  page.free = () => {};
  const { job } = page;
  const { width, height, url } = job.renditions[name];
  const image = h("img", { alt: t("viewer.picture", { rendition: labelOf(job, name), name: job.original.name ?? job.task_id }), width, height });
  show(image, url).catch((problem) => picture.replaceChildren(pictureProblem(problem)));
  picture.replaceChildren(image);
}

/** Say why a picture is not shown: it is gone, or something can be done about it. */
function pictureProblem(problem) {
  const isGone = [404, 410].includes(problem.status) || problem.code === "unseen";
  return isGone ? h("p", { class: "note" }, t("viewer.gone")) : problemBox(problem);
}

function compare(page, picture, file) {
  page.free();
  const { element, free } = comparison(file, page.job.renditions[best(page.job)]);
  page.free = free;
  picture.replaceChildren(element);
}

function side(job) {
  return [jobFailure(job), renditions(job), ENDED.has(job.status) && actions(job), links(job), removal(job)].filter(Boolean);
}

function renditions(job) {
  const rows = Object.entries(job.renditions).map(([name, { width, height, bytes }]) => [
    h(
      "tr",
      {},
      h("th", { scope: "row" }, labelOf(job, name)),
      h("td", {}, dimensions(width, height)),
      h("td", {}, size(bytes)),
      h("td", { class: "saving" }, saving(bytes, job.original.bytes)),
    ),
    h("tr", { class: "file" }, h("td", { colspan: 4 }, fileButton(job, name))),
  ]);
  if (!rows.length) return null;
  const heads = ["job.rendition", "job.pixels", "job.size", "job.saved"].map((key) => h("th", { scope: "col" }, t(key)));
  const table = h("table", { class: "renditions" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows.flat()));
  return h("div", { class: "table-box" }, table);
}

function fileButton(job, name) {
  const save = () => download(job, name).catch((problem) => say(sentence(problem)));
  return h("button", { type: "button", onclick: save }, fileName(job, name));
}

function links(job) {
  const link = (href, words) => href && h("li", {}, h("a", { href, target: "_blank", rel: "noopener" }, icon("open"), words));
  const source = job.source_task_id && h("li", {}, h("a", { href: `#/jobs/${job.source_task_id}` }, t("job.source")));
  const duplicate = job.deduplicated_from && h("li", {}, h("a", { href: `#/jobs/${job.deduplicated_from}` }, t("job.duplicate")));
  return h(
    "ul",
    { class: "links" },
    source,
    duplicate,
    link(elsewhere("flower", job.task_id), t("job.flower")),
    link(elsewhere("grafana", job.task_id), t("job.grafana")),
    link(API + job.links.status, t("job.json")),
    h("li", { class: "task-id" }, h("code", {}, job.task_id)),
  );
}

/** Two steps, so that nothing is removed by a slip. */
function removal(job) {
  const active = !ENDED.has(job.status);
  const remove = async () => {
    try {
      await ask(`/jobs/${job.task_id}`, { method: "DELETE" });
      say(t(active ? "announce.cancelled" : "announce.removed", { name: job.original.name ?? job.task_id }));
      const entry = album.entries.find(({ taskId }) => taskId === job.task_id);
      if (active) return;
      if (entry) album.dismiss(entry);
      location.hash = "#/jobs";
    } catch (problem) {
      say(sentence(problem));
    }
  };
  const sure = h("p", { hidden: true }, t(active ? "job.cancel_sure" : "job.remove_sure"), " ", button("remove", t("action.yes"), remove, { class: "danger" }));
  const first = button("remove", t(active ? "action.cancel_job" : "action.remove"), () => {
    sure.hidden = false;
    first.hidden = true;
    sure.querySelector("button").focus();
  }, { class: "plain" });
  return h("div", { class: "removal" }, first, sure);
}

function stages({ job, parts }) {
  parts.stages.update(job, performance.now() - job.told);
}
