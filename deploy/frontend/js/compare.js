// Before and after on top of each other, with a divider that pointer or keys move.

import { styleLoadedImage, showImage } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** Build the comparison of a file with a rendition. `free` releases the file. */
export function comparison(file, rendition) {
  const url = URL.createObjectURL(file);
  const before = h("img", { class: "before", src: url, alt: t("compare.before") });
  const after = h("img", { class: "after", alt: t("compare.after") });
  const slider = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": t("compare.slider") });
  const box = h(
    "div",
    { class: "compare", vars: { at: 50, ratio: rendition.width / rendition.height } },
    before,
    after,
    h("span", { class: "tag left", "aria-hidden": "true" }, t("compare.before")),
    h("span", { class: "tag right", "aria-hidden": "true" }, t("compare.after")),
    h("span", { class: "divider", "aria-hidden": "true" }),
    slider,
  );
  slider.addEventListener("input", () => box.style.setProperty("--at", slider.value));
  before.addEventListener("load", () => styleLoadedImage(before), { once: true });
  before.addEventListener("error", () => box.replaceWith(h("p", { class: "note" }, t("compare.unknown"))));
  showImage(after, rendition.url).catch(() => box.replaceWith(h("p", { class: "note" }, t("viewer.gone"))));
  return { element: box, free: () => URL.revokeObjectURL(url) };
}
