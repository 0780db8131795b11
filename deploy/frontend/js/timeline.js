// The timeline of a job: the wait and the run of each stage on one axis.

import { h } from "./dom.js";
import { formatCount, formatDuration } from "./format.js";
import { t, apiLabel } from "./i18n.js";

const LONG_GAP_SHARE = 0.2; // of the busy time: a longer gap without any wait or run is shortened
const FOLDED_GAP_SHARE = 0.04;

/** Return the stages queued so far: waits and runs as [from, to] in shares of the axis, `elapsedMs` after the receipt. */
export function layout(job, elapsedMs = 0) {
  const active = job.finished_at === null;
  const spans = Object.entries(job.stages)
    .map(([name, stage]) => ({ name, ...times(stage, active ? elapsedMs : 0) }))
    .filter(({ queued }) => queued !== null);
  const place = axis(spans.map(({ queued, end }) => [queued, end]));
  return spans.map((span) => ({
    ...span,
    waitRange: [place(span.queued), place(span.started ?? span.end)],
    runRange: span.started === null ? null : [place(span.started), place(span.end)],
  }));
}

function times({ state, queued_at, started_at, queue_wait_ms, run_ms }, elapsedMs) {
  if (queued_at === null) return { queued: null };
  const queued = Date.parse(queued_at);
  const started = started_at === null ? null : Math.max(queued, Date.parse(started_at));
  const waitMs = queue_wait_ms + (started === null && state === "pending" ? elapsedMs : 0);
  const runMs = run_ms === null ? null : run_ms + (state === "running" ? elapsedMs : 0);
  return { queued, started, waitMs, runMs, end: started === null ? queued + waitMs : started + runMs };
}

/** Return a function from a time to its share of the axis. Long gaps without any wait or run are shortened. */
function axis(busy) {
  const merged = [];
  for (const [from, to] of [...busy].sort((one, other) => one[0] - other[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  const total = merged.reduce((sum, [from, to]) => sum + to - from, 0) || 1;
  let cut = merged[0]?.[0] ?? 0;
  const steps = merged.map(([from, to], position) => {
    const gap = from - (merged[position - 1]?.[1] ?? from);
    if (gap > LONG_GAP_SHARE * total) cut += gap - FOLDED_GAP_SHARE * total;
    return { from, to, cut };
  });
  const length = steps.length ? steps.at(-1).to - steps.at(-1).cut : 1;
  return (time) => Math.min(1, Math.max(0, (time - steps.findLast(({ from }) => from <= time).cut) / (length || 1)));
}

/** Build a short list of the stages with their bars, for a card. `update(job, elapsedMs)` redraws it. */
export function timeline() {
  return rows(h("ol", { class: "timeline" }), briefRow);
}

/** Build a table of the stages with all details. `update(job, elapsedMs)` redraws it. */
export function stageTable() {
  const heads = ["stage", "state", "timeline", "waited", "ran", "attempts", "worker"];
  const head = h("tr", {}, heads.map((key) => h("th", { scope: "col", class: key }, t(`job.${key}`))));
  const body = h("tbody");
  const { update } = rows(body, fullRow);
  return { element: h("table", { class: "stages" }, h("thead", {}, head), body), update };
}

function rows(element, build) {
  const built = new Map();
  const update = (job, elapsedMs) => {
    const spans = new Map(layout(job, elapsedMs).map((span) => [span.name, span]));
    for (const [name, stage] of Object.entries(job.stages)) {
      if (!built.has(name)) built.set(name, build(name, element));
      built.get(name)(stage, spans.get(name));
    }
  };
  return { element, update };
}

function briefRow(name, list) {
  const { track, place } = bars();
  const figures = h("span", { class: "figures" });
  const item = h("li", {}, h("span", { class: "stage" }, apiLabel("stage", name)), track, figures);
  list.append(item);
  return (stage, span) => {
    item.dataset.state = stage.state;
    place(span);
    setText(figures, summarizeStage(stage, span));
    item.title = [span && t("timeline.waited", { wait: formatDuration(span.waitMs) }), stage.worker].filter(Boolean).join(" · ");
  };
}

function summarizeStage(stage, span) {
  if (!span) return "–";
  const attempts = stage.attempts > 1 ? `${t("timeline.attempts", { count: stage.attempts })} · ` : "";
  return attempts + (stage.state === "pending" ? t("timeline.waits", { wait: formatDuration(span.waitMs) }) : formatDuration(span.runMs));
}

function fullRow(name, body) {
  const { track, place } = bars();
  const cells = ["state", "waited", "ran", "attempts", "worker"].map((key) => h("td", { class: key }));
  const [state, ...others] = cells;
  const row = h("tr", {}, h("th", { scope: "row" }, apiLabel("stage", name)), state, h("td", { class: "timeline" }, track), others);
  const why = h("td", { colspan: 7 });
  const reason = h("tr", { class: "why", hidden: true }, why);
  body.append(row, reason);
  return (stage, span) => {
    row.dataset.state = stage.state;
    place(span);
    const words = [apiLabel("state", stage.state), formatDuration(span?.waitMs), formatDuration(span?.runMs), formatCount(stage.attempts), stage.worker ?? "–"];
    reason.hidden = !stage.error || !["pending", "running"].includes(stage.state); // for other states the job's failure shows the error
    setText(why, stage.error ?? "");
    cells.forEach((cell, position) => setText(cell, words[position]));
  };
}

function bars() {
  const wait = h("span", { class: "bar wait" });
  const run = h("span", { class: "bar run" });
  const place = (span) => {
    positionBar(wait, span?.waitRange);
    positionBar(run, span?.runRange);
  };
  return { track: h("span", { class: "track", "aria-hidden": "true" }, wait, run), place };
}

function positionBar(bar, at) {
  bar.hidden = !at;
  if (!at) return;
  bar.style.setProperty("--from", at[0]);
  bar.style.setProperty("--long", at[1] - at[0]);
}

/** Write the text only if it changed, so that a selection stays. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
