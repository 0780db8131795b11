// The forms of the four operations, and the API's fields from their input.

import { ASPECTS } from "./cropbox.js";
import { h } from "./dom.js";
import { t, apiLabel } from "./i18n.js";

export const OPERATIONS = ["upload", "crop", "grayscale", "resize"];
const FITS = ["contain", "cover", "fill", "inside"];
export const BY_HAND = "by-hand";

/** Build the form of an operation. `extra` replaces the operation's own fields. `fields()` returns the input. */
export function operationForm(operation, capabilities, { extra = null } = {}) {
  const own = { crop, resize }[operation];
  const body = h("div", { class: "form" }, extra ?? own?.(), output(operation, capabilities));
  body.addEventListener("change", () => disableInvalidOptions(body));
  disableInvalidOptions(body);
  const presets = operation === "upload" ? (capabilities?.presets ?? []) : [];
  if (presets.length > 1) import("./presets.js").then(({ presetField }) => body.prepend(presetField(presets)), () => {}); // late: without the server, there is nothing to choose
  return { element: body, fields: () => readFields(body) };
}

/** Return a sentence if a resize has neither width nor height, else null. */
export function missingSide(operation, { width, height }) {
  return operation === "resize" && !width && !height ? t("form.needs_side") : null;
}

function previews() {
  return h("label", { class: "check" }, h("input", { type: "checkbox", name: "animated", value: "true" }), h("span", {}, t("form.animated")));
}

function crop() {
  const options = [[BY_HAND, t("form.by_hand")], ...ASPECTS.map((aspect) => [aspect, aspect])];
  return h("div", { class: "row" }, select("aspect", t("crop.aspect"), options));
}

function resize() {
  const fits = FITS.map((fit) => [fit, t(`fit.${fit}`)]);
  return h(
    "div",
    { class: "row" },
    number("width", t("crop.width"), { placeholder: t("form.any") }),
    number("height", t("crop.height"), { placeholder: t("form.any") }),
    select("fit", t("form.fit"), fits),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "enlarge", value: "true" }), h("span", {}, t("form.enlarge"))),
  );
}

function output(operation, capabilities) {
  const formats = (capabilities?.formats ?? ["auto"]).filter((format) => format !== "gif" || operation === "upload");
  const fields = h(
    "div",
    { class: "row" },
    select("format", t("form.format"), formats.map((format) => [format, apiLabel("format", format)])),
    number("quality", t("form.quality"), { max: 100, placeholder: t("form.usual") }),
    h("label", { class: "field" }, h("span", {}, t("form.background")), h("input", { type: "color", name: "background", value: "#ffffff" })),
    operation === "upload" && previews(),
  );
  return h("details", { class: "output" }, h("summary", {}, t("form.output")), fields);
}

/** Disable the options that the API would refuse in this combination. */
function disableInvalidOptions(body) {
  const { animated, format, quality } = Object.fromEntries([...body.querySelectorAll("[name]")].map((field) => [field.name, field]));
  if (quality) quality.disabled = format.value === "png";
  if (!animated) return;
  const still = new Set(["jpeg", "png", "avif"]);
  for (const option of format.options) option.disabled = animated.checked ? still.has(option.value) : option.value === "gif";
  if (format.selectedOptions[0]?.disabled) format.value = "auto";
}

function readFields(body) {
  const fields = {};
  for (const field of body.querySelectorAll("[name]:not(:disabled)")) {
    const isFilled = field.type === "checkbox" || field.type === "radio" ? field.checked : field.value !== field.defaultValue || field.tagName === "SELECT";
    if (isFilled && field.value !== "" && field.value !== BY_HAND && field.name !== "crop-aspect") fields[field.name] = field.value;
  }
  if (fields.format === "auto") delete fields.format;
  return fields;
}

function select(name, label, options) {
  const choices = options.map(([value, words]) => h("option", { value }, words));
  return h("label", { class: "field" }, h("span", {}, label), h("select", { name }, choices));
}

function number(name, label, attributes) {
  return h("label", { class: "field" }, h("span", {}, label), h("input", { type: "number", name, min: 1, inputmode: "numeric", ...attributes }));
}
