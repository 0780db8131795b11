// One photo on the upload page: its upload, its stages, and its previews as they become ready.

import { showImage } from "./api.js";
import { actions } from "./actions.js";
import { album } from "./album.js";
import { button, h } from "./dom.js";
import { bestRendition, pickRendition, renditionLabel } from "./downloads.js";
import { jobFailure, problemBox } from "./failure.js";
import { formatDimensions, formatFacts, formatSaving, formatShare, formatBytes } from "./format.js";
import { health } from "./health.js";
import { t, apiLabel } from "./i18n.js";
import { placeholderPicture } from "./placeholder.js";
import { timeline } from "./timeline.js";
import { retryUpload } from "./uploads.js";

const PICTURE_PIXELS = 480; // long edge of the card's image on a high-density screen

/** Build the card of an entry. `tick` redraws what depends on the time; `free` stops the updates. */
export function card(entry) {
  const parts = {
    image: h("img", { alt: "" }),
    note: h("span", { class: "frame-note" }),
    pill: h("span", { class: "pill" }),
    sum: h("p", { class: "sum" }),
    bar: h("progress", { max: 1, "aria-label": t("upload.progress", { name: entry.name }) }),
    line: timeline(),
    chips: h("ul", { class: "chips" }),
    bottom: h("div", { class: "card-bottom" }),
  };
  parts.frame = h("a", { class: "frame", tabindex: -1, "aria-hidden": "true" }, parts.image, parts.note); // the same link as the title's, so hidden from screen readers
  parts.link = h("a", {}, entry.name);
  const title = h("h3", {}, parts.link);
  const close = button("close", t("action.dismiss", { name: entry.name }), () => album.dismiss(entry), { class: "small plain" });
  const head = h("div", { class: "card-head" }, title, parts.pill, close);
  const element = h("li", { class: "card" }, parts.frame, h("div", { class: "card-body" }, head, parts.sum, parts.bar, parts.line.element, parts.chips, parts.bottom));
  const shown = { hasPlaceholder: false, picture: null, chips: "", bottom: null };
  const update = () => draw(entry, element, parts, shown);
  update();
  const free = entry.changed.listen(update);
  return { element, free, tick: () => tick(entry, parts) };
}

function draw(entry, element, parts, shown) {
  const { job, phase } = entry;
  const status = job?.status ?? (phase === "job" ? "accepted" : phase);
  element.dataset.status = status;
  parts.pill.textContent = apiLabel("status", status);
  parts.note.textContent = phase === "sending" ? formatShare(entry.progress) : "";
  parts.bar.hidden = phase !== "sending";
  parts.bar.value = entry.progress;
  parts.line.element.hidden = !job;
  if (entry.taskId) parts.link.href = parts.frame.href = `#/jobs/${entry.taskId}`;
  parts.sum.textContent = summary(entry);
  if (job) drawJob(job, parts, shown);
  drawBottom(entry, parts, shown);
  tick(entry, parts);
}

function summary({ job, bytes }) {
  const { width, height } = job?.original ?? {};
  const size = bytes ?? (job?.original.bytes || null); // 0 until it is fetched
  const parts = [size != null && formatBytes(size), width && formatDimensions(width, height), ...formatFacts(job?.original ?? {})].filter(Boolean);
  if (job && job.kind !== "previews") parts.unshift(apiLabel("kind", job.kind));
  return parts.join(" · ");
}

function drawJob(job, parts, shown) {
  if (job.placeholder && !shown.hasPlaceholder) {
    shown.hasPlaceholder = true;
    parts.frame.classList.add("placed");
    parts.frame.prepend(placeholderPicture(job.placeholder, job.original.width / job.original.height));
  }
  const picture = pickRendition(job, PICTURE_PIXELS);
  const version = picture && picture + job.renditions[picture].version;
  if (picture && version !== shown.picture) {
    shown.picture = version;
    parts.image.addEventListener("load", () => parts.frame.classList.add("loaded"), { once: true });
    showImage(parts.image, job.renditions[picture].url).catch(() => (shown.picture = null));
  }
  const made = JSON.stringify(job.renditions);
  if (made === shown.chips) return;
  shown.chips = made;
  parts.chips.replaceChildren(...Object.entries(job.renditions).map(([name, rendition]) => chip(job, name, rendition)));
}

function chip(job, name, { width, height, bytes }) {
  const facts = [formatDimensions(width, height), formatBytes(bytes)].join(" · ");
  const less = h("strong", {}, formatSaving(bytes, job.original.bytes));
  return h("li", { class: name === bestRendition(job) ? "chip best" : "chip" }, h("span", {}, renditionLabel(job, name)), h("span", {}, facts), less);
}

/** Draw the bottom: the failure or the actions. Rebuild it only if these change, so that the focus stays. */
function drawBottom(entry, parts, shown) {
  const { job, phase, problem } = entry;
  const state = [phase, job?.status, bestRendition(job ?? { renditions: {} }), problem?.code].join();
  if (state === shown.bottom) return;
  shown.bottom = state;
  const content = [];
  if (problem) content.push(problemBox(problem, problem.isTransient && phase === "unsent" && button("again", t("action.again"), () => retryUpload(entry))));
  if (job?.failure) content.push(jobFailure(job));
  if (job?.status === "done") content.push(actions(job, { compact: true }));
  parts.bottom.replaceChildren(...content);
}

function tick(entry, parts) {
  const { job, phase } = entry;
  if (phase === "pausing") {
    const seconds = Math.max(1, Math.ceil((entry.retryAt - Date.now()) / 1000));
    parts.note.textContent = t(entry.pauseNote, { count: seconds });
  }
  if (phase === "waiting") {
    parts.note.textContent = t("upload.waiting");
    parts.pill.textContent = t(`health.${health.status}`);
  }
  if (job) parts.line.update(job, performance.now() - job.receivedAt);
}
