// One operation on one photo, with a dialog: on a new file, or on a job's original.

import { styleLoadedImage, showImage } from "./api.js";
import { album } from "./album.js";
import { loadCapabilities } from "./capabilities.js";
import { cropper } from "./cropper.js";
import { askInDialog } from "./dialog.js";
import { h } from "./dom.js";
import { wholeRendition } from "./downloads.js";
import { missingSide, operationForm } from "./forms.js";
import { t } from "./i18n.js";
import { enqueue } from "./uploads.js";

let isAsking = false;

/** Ask how to crop, convert or resize `file` or the original of `job`, and send it. Return whether it was sent. */
export async function operate(operation, subject) {
  if (isAsking) return false; // the user pressed again while the image loads
  isAsking = true;
  try {
    return await askAndSend(operation, subject);
  } finally {
    isAsking = false;
  }
}

async function askAndSend(operation, { file = null, job = null }) {
  const capabilities = await loadCapabilities().catch(() => null);
  const picture = operation === "resize" ? null : await pictureOf(file ?? album.fileOf(job?.task_id), job);
  const extra = operation === "crop" && picture ? cropper(picture.image, picture.size) : null;
  const form = operationForm(operation, capabilities, { extra: extra?.element });
  const shown = operation === "grayscale" && picture && h("div", { class: "grey-preview" }, picture.image);
  const name = file?.name ?? job.original.name ?? job.task_id;
  const noPreviewNote = operation === "crop" && !picture && h("p", {}, t("crop.blind"));
  const isConfirmed = await askInDialog({
    title: t(`operation.${operation}`),
    about: name,
    content: [shown, noPreviewNote, form.element],
    submit: t(`operation.${operation}.do`),
    check: () => missingSide(operation, form.fields()),
  });
  picture?.free();
  if (!isConfirmed) return false;
  const fields = { ...form.fields(), ...extra?.fields(), ...(job && { source_task_id: job.task_id }) };
  enqueue([{ file, name, bytes: file?.size ?? job.original.bytes, operation, fields }]);
  return true;
}

/** Load the upright image with its size in pixels: the file, or else an uncropped rendition of the job. */
async function pictureOf(file, job) {
  const image = h("img", { alt: "", draggable: "false" });
  const url = file && URL.createObjectURL(file);
  const free = () => url && URL.revokeObjectURL(url);
  const whole = job && ["previews", "grayscale"].includes(job.kind) ? wholeRendition(job) : null;
  try {
    if (url) await loadImage(image, url);
    else if (whole) await showImage(image, job.renditions[whole].url);
    else return null;
  } catch {
    free();
    return null; // the browser does not support the format, or the job has no results
  }
  const size = job?.original.width ? job.original : { width: image.naturalWidth, height: image.naturalHeight };
  return { image, size: { width: size.width, height: size.height }, free };
}

function loadImage(image, url) {
  return new Promise((resolve, reject) => {
    image.addEventListener("load", () => (styleLoadedImage(image), resolve()), { once: true });
    image.addEventListener("error", reject, { once: true });
    image.src = url;
  });
}
