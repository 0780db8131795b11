// #/jobs : all jobs, newest first, filtered by status and kind.

import { DarkroomError } from "../../client.js";
import { fetchJson, showImage } from "../api.js";
import { h } from "../dom.js";
import { problemBox } from "../failure.js";
import { formatDuration, formatTime } from "../format.js";
import { health, acceptsUploads } from "../health.js";
import { problemSentence, t, apiLabel } from "../i18n.js";
import { placeholderPicture } from "../placeholder.js";

const STATUSES = ["accepted", "processing", "done", "failed", "dead", "cancelled"];
const KINDS = ["previews", "crop", "grayscale", "resize", "process"];
const PAGE = 24;

/** Show the jobs that match `query` in `root`. Return a function that stops the view. */
export function jobsView(root, query) {
  const list = { query, results: h("div", { class: "results" }), state: "asking", round: 0 };
  root.append(h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, t("jobs.title")), filters(query, list)), list.results);
  loadPage(list);
  return health.changed.listen(() => followHealth(list));
}

/** While the list loads, show if the server is away; load it again once the server is back. */
function followHealth(list) {
  if (list.state === "asking" && health.status === "unreachable") showProblem(list, new DarkroomError());
  else if (list.state === "failed" && acceptsUploads()) loadPage(list);
}

function showProblem(list, problem) {
  list.state = problem.isTransient ? "failed" : "shown";
  list.results.replaceChildren(problemBox(problem));
  list.results.removeAttribute("aria-busy");
}

function filters(query, list) {
  const go = (name, value) => {
    const next = new URLSearchParams(query);
    next.delete("cursor");
    if (value) next.set(name, value);
    else next.delete(name);
    location.hash = `#/jobs${next.size ? `?${next}` : ""}`;
  };
  const filter = (name, options) => {
    const choices = [["", t("jobs.all")], ...options.map((option) => [option, apiLabel(name, option)])];
    const select = h("select", { id: `filter-${name}`, onchange: (event) => go(name, event.target.value) });
    select.append(...choices.map(([value, words]) => h("option", { value, selected: query.get(name) === value }, words)));
    return h("label", { class: "field inline" }, h("span", {}, t(`jobs.${name}`)), select);
  };
  return h("div", { class: "filters" }, filter("status", STATUSES), filter("kind", KINDS), h("button", { type: "button", onclick: () => select(list) }, t("jobs.select")));
}

// late: without the server, there is nothing to select
const select = (list) => import("../selection.js").then(({ startSelection }) => startSelection(list.results, () => loadPage(list)), () => {});

async function loadPage(list) {
  const { query, results } = list;
  const round = (list.round += 1);
  list.state = "asking";
  results.setAttribute("aria-busy", "true");
  const parameters = new URLSearchParams([["limit", PAGE], ...query]);
  try {
    const page = await fetchJson(`/jobs?${parameters}`);
    if (round !== list.round) return;
    list.state = "shown";
    results.replaceChildren(jobGrid(page.jobs), pager(page, query));
  } catch (problem) {
    if (round !== list.round) return;
    return showProblem(list, problem);
  }
  results.removeAttribute("aria-busy");
}

function jobGrid(jobs) {
  if (!jobs.length) return h("p", { class: "nothing" }, t("jobs.none"));
  return h("ul", { class: "job-grid" }, jobs.map(jobTile));
}

function jobTile(job) {
  const image = h("img", { alt: "", loading: "lazy" });
  const took = job.finished_at && job.status === "done" && formatDuration(Date.parse(job.finished_at) - Date.parse(job.reprocessed_at ?? job.created_at));
  const facts = [job.kind !== "previews" && apiLabel("kind", job.kind), formatTime(job.created_at), took].filter(Boolean).join(" · ");
  const placeholder = job.placeholder && placeholderPicture(job.placeholder);
  if (job.status === "done") showPicture(image, job).then(() => placeholder?.remove());
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/jobs/${job.task_id}`, class: "job-tile", "data-status": job.status },
      h("span", { class: "job-tile-picture" }, placeholder, image),
      h("span", { class: "job-tile-name" }, job.name ?? job.task_id),
      h("span", { class: "job-tile-facts" }, facts),
      h("span", { class: "pill" }, apiLabel("status", job.status)),
      job.failure && h("span", { class: "job-tile-error" }, problemSentence(job.failure)),
    ),
  );
}

const SMALL_FILE_BYTES = 300_000;

/** Show the smallest rendition of a job, unless it is large: an operation has one only. */
async function showPicture(image, { preview }) {
  try {
    if (preview?.bytes < SMALL_FILE_BYTES) await showImage(image, preview.url);
  } catch {
    image.remove(); // the result has probably expired
  }
}

function pager(page, query) {
  const older = new URLSearchParams(query);
  if (page.next) older.set("cursor", page.next);
  const newest = new URLSearchParams(query);
  newest.delete("cursor");
  return h(
    "nav",
    { class: "pager", "aria-label": t("jobs.pages") },
    query.has("cursor") && h("a", { href: `#/jobs${newest.size ? `?${newest}` : ""}` }, t("jobs.newest")),
    page.next && h("a", { href: `#/jobs?${older}` }, t("jobs.older")),
  );
}
