// Upload the image at an address: the server fetches it. Loaded late: without the server nothing is fetched.

import { askInDialog } from "./dialog.js";
import { h } from "./dom.js";
import { missingSide } from "./forms.js";
import { t } from "./late-words.js";
import { enqueue } from "./uploads.js";

/** Ask for an address, and have the server fetch and process the image that is there. */
export async function uploadAddress(operation, fields) {
  const input = h("input", { id: "source-url", type: "url", required: true, autocomplete: "off", spellcheck: "false", placeholder: "https://" });
  const isConfirmed = await askInDialog({
    title: t("address.title"),
    about: t(`operation.${operation}`),
    content: [h("p", { class: "note" }, t("address.why")), h("label", { for: "source-url" }, t("address.label")), input],
    submit: t("address.submit"),
    narrow: true,
    check: () => missingAspect(operation, fields) ?? missingSide(operation, fields),
  });
  if (!isConfirmed) return;
  const url = input.value.trim();
  enqueue([{ file: null, name: nameOf(url), bytes: null, operation, fields: { ...fields, source_url: url } }]);
}

/** Return a sentence if a crop has no aspect ratio: nobody can draw a box on an image that is not here. */
const missingAspect = (operation, { aspect }) => (operation === "crop" && !aspect ? t("address.needs_aspect") : null);

/** Return the last part of the path, which the job is called as well. */
function nameOf(url) {
  const { pathname, host } = new URL(url);
  const last = pathname.split("/").pop();
  try {
    return decodeURIComponent(last) || host;
  } catch {
    return last;
  }
}
