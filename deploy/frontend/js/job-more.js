// What only some jobs have: the address of the original, exported objects, a failed reprocessing. Loaded late.

import { h } from "./dom.js";
import { problemBox } from "./failure.js";
import { formatBytes } from "./format.js";
import { apiLabel, t } from "./late-words.js";

/** Return the parts for the side of a job's view. */
export function jobMore({ source, exports: objects, reprocess_failure: failure }) {
  return [failure && failedReprocessing(failure), source && origin(source), objects?.length && exported(objects)].filter(Boolean);
}

function failedReprocessing(failure) {
  return problemBox(failure, h("p", { class: "advice" }, t("more.reprocess_failure")));
}

function origin({ url, key, version }) {
  const facts = [[url ? "more.url" : "more.key", url ?? key], ["more.version", version]].filter(([, value]) => value);
  const rows = facts.map(([name, value]) => h("li", { class: "task-id" }, t(name), h("br"), h("code", {}, value)));
  return h("section", {}, h("h2", {}, t("more.source")), h("ul", { class: "links" }, rows));
}

function exported(objects) {
  const rows = objects.map(({ rendition, format, dpr, destination, key, bytes }) => {
    const facts = [apiLabel("stage", rendition), apiLabel("format", format), dpr !== 1 && `${dpr}×`, formatBytes(bytes)];
    return h("li", { class: "task-id" }, facts.filter(Boolean).join(" · "), h("br"), h("code", {}, `${destination}: ${key}`));
  });
  return h("section", {}, h("h2", {}, t("more.exports")), h("ul", { class: "links" }, rows));
}
