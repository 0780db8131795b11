// Renditions to take along: one by one, or all of them in a zip.

import { fetchApi, saveBlob } from "./api.js";
import { apiLabel } from "./i18n.js";
import { zip } from "./zip.js";

/** Return the file name of a rendition: what the API says, or by the same rule where an older one says nothing. */
export function fileName(job, rendition) {
  const { filename, format } = job.renditions[rendition];
  if (filename) return filename;
  const stem = (job.original.name ?? "").split(/[\\/]/).pop().replace(/\.[^.]*$/, "") || "image";
  const part = rendition === "output" ? job.kind : rendition;
  return `${stem}-${part}.${format === "jpeg" ? "jpg" : format}`;
}

/** Return what a rendition is called: an operation's only one is called after the operation. */
export const renditionLabel = (job, rendition) => (rendition === "output" ? apiLabel("kind", job.kind) : apiLabel("stage", rendition));

/** The best there is of a job: an operation's output, or the largest rendition that is made. */
export function bestRendition(job) {
  const made = Object.entries(job.renditions);
  return made.length ? made.reduce((one, other) => (other[1].width > one[1].width ? other : one))[0] : null;
}

/** The smallest rendition that fills `pixels`, else the largest that is made. */
export function pickRendition(job, pixels) {
  const made = Object.entries(job.renditions).sort(([, one], [, other]) => one.width - other.width);
  const long = ({ width, height }) => Math.max(width, height);
  return (made.find(([, rendition]) => long(rendition) >= pixels) ?? made.at(-1))?.[0] ?? null;
}

/** Save one rendition. */
export async function download(job, rendition) {
  const answer = await fetchApi(job.renditions[rendition].url, { cache: "default" });
  saveBlob(await answer.blob(), fileName(job, rendition));
}

/** Save every rendition of some jobs as one zip. */
export async function downloadAll(jobs, name = "darkroom.zip") {
  const files = [];
  for (const job of jobs) {
    for (const [rendition, { url }] of Object.entries(job.renditions)) {
      const bytes = new Uint8Array(await (await fetchApi(url, { cache: "default" })).arrayBuffer());
      files.push({ name: fileName(job, rendition), bytes });
    }
  }
  saveBlob(zip(files), name);
}
