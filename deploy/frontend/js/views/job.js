// #/jobs/{task_id} : one job: its images, all stages, and links to other tools.

import { DarkroomError, END_STATUSES } from "../../client.js";
import { darkroom, showImage } from "../api.js";
import { actions, pictureButton } from "../actions.js";
import { album } from "../album.js";
import { comparison } from "../compare.js";
import { button, h, icon, showToast } from "../dom.js";
import { bestRendition, download, fileName, renditionLabel, wholeRendition } from "../downloads.js";
import { jobFailure, problemBox } from "../failure.js";
import { formatDimensions, formatFacts, formatTime, formatSaving, formatShare, formatBytes } from "../format.js";
import { health } from "../health.js";
import { problemSentence, t, apiLabel } from "../i18n.js";
import { followJob } from "../job-subscriptions.js";
import { placeholderPicture } from "../placeholder.js";
import { forgetJob } from "../browser-storage.js";
import { externalUrl } from "../settings.js";
import { stageTable } from "../timeline.js";

const TICK_MS = 200;
const COMPARABLE = new Set(["previews", "grayscale"]); // the kinds that keep the aspect ratio

/** Show a job in `root`. Return a function that stops the view. */
export function jobView(root, taskId) {
  const parts = {
    title: h("h1", { tabindex: -1 }, taskId),
    pill: h("span", { class: "pill" }),
    facts: h("p", { class: "sum" }),
    viewer: h("div", { class: "viewer" }),
    side: h("div", { class: "side" }),
    stages: stageTable(),
  };
  const page = { taskId, job: null, shown: {}, selectedRendition: null, free: () => {}, parts };
  const listener = ({ job, problem }) => (job ? draw(page, job) : showMissingJob(root, problem, taskId));
  root.append(
    h("div", { class: "view-head" }, h("div", {}, parts.title, parts.facts), parts.pill),
    h("div", { class: "job-columns" }, parts.viewer, parts.side),
    h("section", { class: "panel" }, h("h2", {}, t("job.stages")), h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": t("job.stages") }, parts.stages.element)),
  );
  const leave = followJob(taskId, listener, { first: true });
  const timer = setInterval(() => page.job && !END_STATUSES.has(page.job.status) && drawStages(page), TICK_MS);
  const leaveHealth = health.changed.listen(() => !page.job && showEmptyReason(parts.viewer));
  return () => {
    leave();
    leaveHealth();
    clearInterval(timer);
    page.free();
  };
}

/** While no job is loaded yet, show a problem if the server does not answer. */
function showEmptyReason(viewer) {
  viewer.replaceChildren(health.status === "unreachable" ? problemBox(new DarkroomError()) : "");
}

function showMissingJob(root, problem, taskId) {
  if (problem.code === "job_not_found") forgetJob(taskId);
  root.replaceChildren(h("h1", { tabindex: -1 }, t("job.lost")), problemBox(problem));
}

function draw(page, job) {
  page.job = job;
  const { parts } = page;
  parts.title.textContent = job.original.name ?? job.task_id;
  parts.pill.textContent = apiLabel("status", job.status);
  parts.pill.parentElement.dataset.status = job.status;
  parts.facts.textContent = facts(job);
  redraw(page, "viewer", JSON.stringify([job.renditions, job.status, job.placeholder]), () => drawViewer(page));
  redraw(page, "side", JSON.stringify([job.renditions, job.status, job.failure, job.exports]), () => parts.side.replaceChildren(...sideContent(job)));
  drawStages(page);
}

/** Rebuild a part only if its data changed, so that focus and images stay. */
function redraw(page, part, state, build) {
  if (page.shown[part] === state) return;
  page.shown[part] = state;
  build();
}

function facts(job) {
  const { bytes, width, height, media_type: type } = job.original;
  const isHere = bytes || !job.source; // else it is not fetched yet
  const parts = [apiLabel("kind", job.kind), isHere && formatBytes(bytes), width && formatDimensions(width, height), isHere && type, ...formatFacts(job.original), formatTime(job.created_at)];
  if (!END_STATUSES.has(job.status)) parts.push(formatShare(job.progress));
  return parts.filter(Boolean).join(" · ");
}

function drawViewer(page) {
  const { job, parts } = page;
  page.free();
  const names = Object.keys(job.renditions);
  if (!names.length) {
    const note = END_STATUSES.has(job.status) ? t("viewer.nothing") : t("viewer.waiting");
    const placeholder = job.placeholder && placeholderPicture(job.placeholder, job.original.width / job.original.height);
    return parts.viewer.replaceChildren(h("div", { class: "viewer-empty" }, placeholder, h("p", {}, note)));
  }
  if (!names.includes(page.selectedRendition)) page.selectedRendition = null;
  const picture = h("div", { class: "viewer-picture" });
  const file = album.fileOf(job.task_id);
  const tabs = names.map((name) => tab(name, renditionLabel(job, name), name === (page.selectedRendition ?? bestRendition(job)), () => ((page.selectedRendition = name), display(page, picture, name))));
  if (COMPARABLE.has(job.kind) && job.status === "done" && wholeRendition(job)) tabs.push(file ? compareTab(page, picture, file) : originalPicker(page, picture));
  display(page, picture, page.selectedRendition ?? bestRendition(job));
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

/** Let the user choose the original again: a reload loses the file. It is not uploaded. */
function originalPicker(page, picture) {
  const input = h("input", { type: "file", accept: "image/*", class: "visually-hidden", id: "compare-file" });
  input.addEventListener("change", () => input.files.length && compare(page, picture, input.files[0]));
  return h("span", { class: "choice" }, input, h("label", { for: "compare-file", title: t("compare.pick_why") }, icon("compare"), t("compare.pick")));
}

function display(page, picture, name) {
  page.free();
  page.free = () => {};
  const { job } = page;
  const { width, height, url } = job.renditions[name];
  const image = h("img", { alt: t("viewer.picture", { rendition: renditionLabel(job, name), name: job.original.name ?? job.task_id }), width, height });
  showImage(image, url).catch((problem) => picture.replaceChildren(pictureProblem(problem)));
  picture.replaceChildren(image);
}

/** Say why an image is not shown: it is removed, or there is a problem that the user may solve. */
function pictureProblem(problem) {
  const isGone = [404, 410].includes(problem.status) || problem.code === "unseen";
  return isGone ? h("p", { class: "note" }, t("viewer.gone")) : problemBox(problem);
}

function compare(page, picture, file) {
  page.free();
  const { element, free } = comparison(file, page.job.renditions[wholeRendition(page.job)]);
  page.free = free;
  picture.replaceChildren(element);
}

function sideContent(job) {
  return [jobFailure(job), renditions(job), moreOf(job), END_STATUSES.has(job.status) && actions(job), links(job), removalControls(job)].filter(Boolean);
}

/** Show where the original is from, where the results were put, and why a reprocessing failed. */
function moreOf(job) {
  if (!job.source && !job.exports?.length && !job.reprocess_failure) return null;
  const part = h("div", { class: "side" });
  import("../job-more.js").then(({ jobMore }) => part.append(...jobMore(job)), () => {}); // late: few jobs have any of it
  return part;
}

function renditions(job) {
  const rows = Object.entries(job.renditions).map(([name, { width, height, bytes }]) => [
    h(
      "tr",
      {},
      h("th", { scope: "row" }, renditionLabel(job, name)),
      h("td", {}, formatDimensions(width, height)),
      h("td", {}, formatBytes(bytes)),
      h("td", { class: "saving" }, formatSaving(bytes, job.original.bytes)),
    ),
    h("tr", { class: "file" }, h("td", { colspan: 4 }, h("div", {}, fileButton(job, name), pictureButton(job, name)))),
  ]);
  if (!rows.length) return null;
  const heads = ["job.rendition", "job.pixels", "job.size", "job.saved"].map((key) => h("th", { scope: "col" }, t(key)));
  const table = h("table", { class: "renditions" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows.flat()));
  return h("div", { class: "table-box" }, table);
}

function fileButton(job, name) {
  const save = () => download(job, name).catch((problem) => showToast(problemSentence(problem)));
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
    link(externalUrl("flower", job.task_id), t("job.flower")),
    link(externalUrl("grafana", job.task_id), t("job.grafana")),
    link(darkroom.address(job.links.status), t("job.json")),
    h("li", { class: "task-id" }, h("code", {}, job.task_id)),
  );
}

/** Build the remove button. It asks for confirmation, so that nothing is removed by accident. */
function removalControls(job) {
  const active = !END_STATUSES.has(job.status);
  const remove = async () => {
    try {
      await darkroom.remove(job);
      showToast(t(active ? "announce.cancelled" : "announce.removed", { name: job.original.name ?? job.task_id }));
      const entry = album.entries.find(({ taskId }) => taskId === job.task_id);
      if (active) return;
      if (entry) album.dismiss(entry);
      location.hash = "#/jobs";
    } catch (problem) {
      showToast(problemSentence(problem));
    }
  };
  const confirmation = h("p", { hidden: true }, t(active ? "job.cancel_sure" : "job.remove_sure"), " ", button("remove", t("action.yes"), remove, { class: "danger" }));
  const first = button("remove", t(active ? "action.cancel_job" : "action.remove"), () => {
    confirmation.hidden = false;
    first.hidden = true;
    confirmation.querySelector("button").focus();
  }, { class: "plain" });
  return h("div", { class: "removal" }, first, confirmation);
}

function drawStages({ job, parts }) {
  parts.stages.update(job, performance.now() - job.receivedAt);
}
