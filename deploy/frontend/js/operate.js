// One operation on one photo, asked for in a dialog: a new file, or a job's original.

import { show } from "./api.js";
import { album } from "./album.js";
import { capabilities } from "./capabilities.js";
import { cropper } from "./cropper.js";
import { h } from "./dom.js";
import { best } from "./downloads.js";
import { operationForm } from "./forms.js";
import { t } from "./i18n.js";
import { enqueue } from "./uploads.js";

/** Ask how to crop, grey or resize `file`, or the original of `job`, and send it; true once it is on its way. */
export async function operate(operation, { file = null, job = null }) {
  const told = await capabilities().catch(() => null);
  const picture = operation === "resize" ? null : await pictureOf(file ?? album.fileOf(job?.task_id), job);
  const extra = operation === "crop" && picture ? cropper(picture.image, picture.size) : null;
  const form = operationForm(operation, told, { extra: extra?.element });
  const shown = operation === "grayscale" && picture && h("div", { class: "grey-preview" }, picture.image);
  const name = file?.name ?? job.original.name ?? job.task_id;
  const sent = await asked(operation, name, [shown, operation === "crop" && !picture && h("p", {}, t("crop.blind")), form.element]);
  picture?.free();
  if (!sent) return false;
  const fields = { ...form.fields(), ...extra?.fields(), ...(job && { source_task_id: job.task_id }) };
  enqueue([{ file, name, bytes: file?.size ?? job.original.bytes, operation, fields }]);
  return true;
}

function asked(operation, name, content) {
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": "operate-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "operate-title" }, t(`operation.${operation}`), h("small", {}, name)),
      content,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { value: "cancel", formnovalidate: true }, t("action.cancel")),
        h("button", { class: "primary", value: "ok" }, t(`operation.${operation}.do`)),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "ok");
    });
  });
}

/** Load the upright picture with its size in pixels: the file, else what the job made of the whole of it. */
async function pictureOf(file, job) {
  const image = h("img", { alt: "", draggable: "false" });
  const url = file && URL.createObjectURL(file);
  const free = () => url && URL.revokeObjectURL(url);
  const whole = job && ["previews", "grayscale"].includes(job.kind) ? best(job) : null;
  try {
    if (url) await loaded(image, () => (image.src = url));
    else if (whole) await loaded(image, () => show(image, job.renditions[whole].url));
    else return null;
  } catch {
    free();
    return null; // a format that this browser does not know, or a job without results
  }
  const size = job?.original.width ? job.original : { width: image.naturalWidth, height: image.naturalHeight };
  return { image, size: { width: size.width, height: size.height }, free };
}

function loaded(image, begin) {
  return new Promise((resolve, reject) => {
    image.addEventListener("load", resolve, { once: true });
    image.addEventListener("error", reject, { once: true });
    Promise.resolve(begin()).catch(reject);
  });
}
