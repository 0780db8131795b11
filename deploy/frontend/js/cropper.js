// A picture with a crop box that pointer, keys or number fields change.

import { ASPECTS, centreBox, fitBox, moveBox, resizeBox, parseAspect } from "./cropbox.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDES = ["left", "top", "width", "height"];
const STRIDE = 10; // Shift multiplies the step by this

/** Build the control for a picture of `size` (upright pixels) shown by `image`. `fields()` returns the API's fields. */
export function cropper(image, size) {
  const state = { box: centreBox({ width: size.width * 0.8, height: size.height * 0.8 }, null), aspect: null };
  state.box = moveBox(state.box, size.width * 0.1, size.height * 0.1, size);
  const frame = h("div", { class: "crop-box" });
  const shade = h("div", { class: "crop-shade" }, h("div", {}));
  const stage = h("div", { class: "crop-stage", vars: { ratio: size.width / size.height } }, image, shade, frame);
  const numbers = SIDES.map((side) => numberOf(side, size, (value) => change(fitBox({ ...state.box, [side]: value }, size))));
  const change = (box) => {
    state.box = box;
    draw(stage, box, size);
    SIDES.forEach((side, position) => (numbers[position].input.value = box[side]));
  };
  const dragHandle = (handle, dx, dy, from = state.box) =>
    change(handle === "move" ? moveBox(from, dx, dy, size) : resizeBox(from, handle, dx, dy, size, state.aspect));
  frame.append(grip("move", stage, size, state, dragHandle), ...HANDLES.map((handle) => grip(handle, stage, size, state, dragHandle)));
  const presets = aspects((aspect) => {
    state.aspect = aspect === "original" ? size.width / size.height : parseAspect(aspect);
    if (state.aspect) change(centreBox(size, state.aspect));
  });
  change(state.box);
  const element = h("div", { class: "cropper" }, stage, presets, h("div", { class: "row" }, numbers.map(({ label }) => label)));
  return { element, fields: () => ({ ...state.box }) };
}

function draw(stage, box, size) {
  const shares = { x: box.left / size.width, y: box.top / size.height, w: box.width / size.width, h: box.height / size.height };
  for (const [name, value] of Object.entries(shares)) stage.style.setProperty(`--${name}`, value);
}

function grip(handle, stage, size, state, dragHandle) {
  const button = h("button", { type: "button", class: `grip ${handle}`, "aria-label": t(`crop.grip.${handle}`) });
  const scale = () => size.width / stage.clientWidth; // picture pixels for each screen pixel
  let drag = null;
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, box: state.box };
  });
  button.addEventListener("pointermove", (event) => {
    if (drag) dragHandle(handle, (event.clientX - drag.x) * scale(), (event.clientY - drag.y) * scale(), drag.box);
  });
  for (const end of ["pointerup", "pointercancel"]) button.addEventListener(end, () => (drag = null));
  button.addEventListener("keydown", (event) => {
    if (event.key === "Enter") return event.preventDefault(), button.form?.requestSubmit(); // Enter submits the dialog: a grip has no click action
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(scale())) * (event.shiftKey ? STRIDE : 1);
    dragHandle(handle, arrow[0] * step, arrow[1] * step);
  });
  return button;
}

function numberOf(side, size, change) {
  const most = side === "left" || side === "width" ? size.width : size.height;
  const input = h("input", { type: "number", min: side === "left" || side === "top" ? 0 : 1, max: most, inputmode: "numeric" });
  input.addEventListener("change", () => change(Math.round(Number(input.value)) || 0));
  return { input, label: h("label", { class: "field" }, h("span", {}, t(`crop.${side}`)), input) };
}

function aspects(choose) {
  const choices = ["free", "original", ...ASPECTS].map((aspect) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name: "crop-aspect", value: aspect, checked: aspect === "free", onchange: () => choose(aspect) }),
      h("span", {}, aspect.includes(":") ? aspect : t(`crop.${aspect}`)),
    ),
  );
  return h("fieldset", { class: "choices" }, h("legend", {}, t("crop.aspect")), choices);
}
