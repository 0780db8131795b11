// #/jobs : all jobs there are, the youngest first, by status and kind.

import { Problem, ask, askJson, show } from "../api.js";
import { capabilities } from "../capabilities.js";
import { h } from "../dom.js";
import { problemBox } from "../failure.js";
import { duration, moment } from "../format.js";
import { health, takesUploads } from "../health.js";
import { sentence, t, word } from "../i18n.js";

const STATUSES = ["accepted", "processing", "done", "failed", "dead", "cancelled"];
const KINDS = ["previews", "crop", "grayscale", "resize"];
const PAGE = 24;

/** Show the list that `query` asks for in `root`; returns what takes it away. */
export function jobsView(root, query) {
  const list = { query, results: h("div", { class: "results" }), state: "asking", round: 0 };
  root.append(h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, t("jobs.title")), filters(query)), list.results);
  fill(list);
  return health.changed.listen(() => followHealth(list));
}

/** Say that the server is away while its answer is awaited, and ask again once it is back. */
function followHealth(list) {
  if (list.state === "asking" && health.status === "unreachable") showProblem(list, new Problem());
  else if (list.state === "failed" && takesUploads()) fill(list);
}

function showProblem(list, problem) {
  list.state = problem.passing ? "failed" : "shown";
  list.results.replaceChildren(problemBox(problem));
  list.results.removeAttribute("aria-busy");
}

function filters(query) {
  const go = (name, value) => {
    const next = new URLSearchParams(query);
    next.delete("cursor");
    if (value) next.set(name, value);
    else next.delete(name);
    location.hash = `#/jobs${next.size ? `?${next}` : ""}`;
  };
  const filter = (name, options) => {
    const choices = [["", t("jobs.all")], ...options.map((option) => [option, word(name, option)])];
    const select = h("select", { id: `filter-${name}`, onchange: (event) => go(name, event.target.value) });
    select.append(...choices.map(([value, words]) => h("option", { value, selected: query.get(name) === value }, words)));
    return h("label", { class: "field inline" }, h("span", {}, t(`jobs.${name}`)), select);
  };
  return h("div", { class: "filters" }, filter("status", STATUSES), filter("kind", KINDS));
}

async function fill(list) {
  const { query, results } = list;
  const round = (list.round += 1);
  list.state = "asking";
  results.setAttribute("aria-busy", "true");
  const asked = new URLSearchParams([["limit", PAGE], ...query]);
  try {
    const [page, told] = await Promise.all([askJson(`/jobs?${asked}`), capabilities().catch(() => null)]);
    if (round !== list.round) return;
    list.state = "shown";
    results.replaceChildren(sheet(page.jobs, smallest(told)), pager(page, query));
  } catch (problem) {
    if (round !== list.round) return;
    return showProblem(list, problem);
  }
  results.removeAttribute("aria-busy");
}

const smallest = (told) => Object.entries(told?.renditions ?? {}).sort(([, one], [, other]) => one - other)[0]?.[0];

function sheet(jobs, rendition) {
  if (!jobs.length) return h("p", { class: "nothing" }, t("jobs.none"));
  return h("ul", { class: "sheet" }, jobs.map((job) => frame(job, rendition)));
}

function frame(job, rendition) {
  const image = h("img", { alt: "", loading: "lazy" });
  const took = job.finished_at && job.status === "done" && duration(Date.parse(job.finished_at) - Date.parse(job.created_at));
  const facts = [job.kind !== "previews" && word("kind", job.kind), moment(job.created_at), took].filter(Boolean).join(" · ");
  if (job.status === "done") picture(image, job, rendition);
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/jobs/${job.task_id}`, class: "sheet-frame", "data-status": job.status },
      h("span", { class: "sheet-picture" }, image),
      h("span", { class: "sheet-name" }, job.name ?? job.task_id),
      h("span", { class: "frame-facts" }, facts),
      h("span", { class: "pill" }, word("status", job.status)),
      job.failure && h("span", { class: "frame-why" }, sentence(job.failure)),
    ),
  );
}

/** Only previews have a small picture; an operation's output is shown where it is not larger than one. */
async function picture(image, job, rendition) {
  try {
    if (job.kind === "previews" && rendition) await show(image, `/result/${job.task_id}/${rendition}`);
    else if (await isLight(job)) await show(image, job.links.result);
  } catch {
    image.remove(); // expired, most likely
  }
}

const LIGHT_BYTES = 300_000;

async function isLight(job) {
  const answer = await ask(job.links.result, { method: "HEAD" });
  return Number(answer.headers.get("Content-Length")) < LIGHT_BYTES;
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
