// Downloads of renditions: one by one, or all of them in a zip.

import { darkroom, saveBlob } from "./api.js";
import { apiLabel } from "./i18n.js";

/** Return a text as the name of a visible file, without folders: who unpacks a zip may follow a path in it. */
const toFileName = (text) => text.replace(/[/\\\p{Cc}]/gu, "_").replace(/^\.+/, "_");

/** Return the file name of a rendition: the API's, or one built by the same rule if an older API gives none. */
export function fileName(job, rendition) {
  const { filename, format } = job.renditions[rendition];
  if (filename) return toFileName(filename);
  const stem = (job.original.name ?? "").split(/[\\/]/).pop().replace(/\.[^.]*$/, "") || "image";
  const part = rendition === "output" ? job.kind : rendition;
  return toFileName(`${stem}-${part}.${format === "jpeg" ? "jpg" : format}`);
}

/** Return the label of a rendition. The single rendition of an operation has the operation's label. */
export const renditionLabel = (job, rendition) => (rendition === "output" ? apiLabel("kind", job.kind) : apiLabel("stage", rendition));

/** Return the name of an operation's output, or of the largest rendition that is ready; null if none is. */
export function bestRendition(job) {
  const made = Object.entries(job.renditions);
  return made.length ? made.reduce((one, other) => (other[1].width > one[1].width ? other : one))[0] : null;
}

/** Return the name of the largest rendition that shows the whole original, without a cut or another shape; null if there is none. */
export function wholeRendition({ renditions, original: { width, height } }) {
  const isWhole = ([, made]) => Math.abs(made.width * height - made.height * width) <= width + height;
  return bestRendition({ renditions: Object.fromEntries(Object.entries(renditions).filter(isWhole)) });
}

/** Return the name of the smallest rendition of at least `pixels`, else of the largest that is ready. */
export function pickRendition(job, pixels) {
  const made = Object.entries(job.renditions).sort(([, one], [, other]) => one.width - other.width);
  const long = ({ width, height }) => Math.max(width, height);
  return (made.find(([, rendition]) => long(rendition) >= pixels) ?? made.at(-1))?.[0] ?? null;
}

/** Download one rendition. */
export async function download(job, rendition) {
  const answer = await darkroom.request(job.renditions[rendition].url, { cache: "default" });
  saveBlob(await answer.blob(), fileName(job, rendition));
}

/** Download every rendition of some jobs as one zip. */
export async function downloadAll(jobs, name = "darkroom.zip") {
  const files = [];
  for (const job of jobs) {
    for (const [rendition, { url }] of Object.entries(job.renditions)) {
      const bytes = new Uint8Array(await (await darkroom.request(url, { cache: "default" })).arrayBuffer());
      files.push({ name: fileName(job, rendition), bytes });
    }
  }
  const { zip } = await import("./zip.js"); // late: without the server, there is nothing to pack
  saveBlob(zip(files), name);
}
