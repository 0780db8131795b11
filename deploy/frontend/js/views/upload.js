// #/ : upload photos and watch each stage finish.

import { album } from "../album.js";
import { loadCapabilities } from "../capabilities.js";
import { card } from "../card.js";
import { button, h, icon, showToast } from "../dom.js";
import { downloadAll } from "../downloads.js";
import { formatMegapixels, formatBytes } from "../format.js";
import { OPERATIONS, missingSide, operationForm } from "../forms.js";
import { callWhenReady } from "../health.js";
import { problemSentence, t, apiLabel } from "../i18n.js";
import { operate } from "../operate.js";
import { enqueue } from "../uploads.js";

const TICK_MS = 200;
const selection = { operation: "upload" }; // kept when the view changes

/** Show the page in `root`. Return a function that stops the view. */
export function uploadView(root) {
  const form = { control: null };
  const options = h("div", { class: "options" });
  const drop = dropArea((files) => addFiles(files, form.control), () => addAddress(form.control));
  const photoList = buildPhotoList();
  root.append(h("h1", { tabindex: -1, class: "visually-hidden" }, t("upload.title")), drop.element, options, photoList.element);
  let leave = () => {};
  const draw = async () => {
    const capabilities = await loadCapabilities().catch(() => null);
    drop.showLimits(capabilities);
    options.replaceChildren();
    drawOptions(options, form, capabilities);
    if (!capabilities) leave = callWhenReady(draw);
  };
  draw();
  return () => {
    leave();
    drop.free();
    photoList.free();
  };
}

/** Send files. For manual crops, open the crop dialog for each file first. */
async function addFiles(files, control) {
  const { operation } = selection;
  const fields = control?.fields() ?? {};
  const missing = missingSide(operation, fields);
  if (missing) return showToast(missing);
  if (operation === "crop" && !fields.aspect) {
    for (const file of files) await operate("crop", { file });
    return;
  }
  enqueue(files.map((file) => ({ file, name: file.name || t("upload.unnamed"), bytes: file.size, operation, fields })));
}

/** Ask for an address that the server fetches the image from. */
function addAddress(control) {
  const ask = ({ uploadAddress }) => uploadAddress(selection.operation, control?.fields() ?? {});
  import("../addresses.js").then(ask, () => showToast(t("problem.unreachable"))); // late: the server fetches it
}

function drawOptions(options, form, capabilities) {
  const show = () => {
    form.control = operationForm(selection.operation, capabilities);
    details.replaceChildren(form.control.element);
  };
  const details = h("div", { class: "option-fields" });
  const choices = OPERATIONS.map((operation) => {
    const pick = () => ((selection.operation = operation), show());
    const input = h("input", { type: "radio", name: "operation", value: operation, checked: operation === selection.operation, onchange: pick });
    return h("label", { class: "choice" }, input, h("span", {}, t(`operation.${operation}`)));
  });
  options.append(h("fieldset", { class: "choices" }, h("legend", { class: "visually-hidden" }, t("form.what")), choices), details);
  show();
}

function dropArea(addFiles, addAddress) {
  const limits = h("p", { class: "limits" });
  const pick = picker("file-input", { multiple: true }, addFiles);
  const snap = picker("camera-input", { capture: "environment" }, addFiles);
  const element = h(
    "section",
    { class: "drop", "aria-label": t("upload.title") },
    h("p", { class: "drop-title" }, t("upload.drop")),
    h(
      "div",
      { class: "drop-buttons" },
      pick,
      h("label", { for: "file-input", class: "primary big" }, icon("up"), t("upload.pick")),
      snap,
      h("label", { for: "camera-input", class: "big camera" }, icon("camera"), t("upload.camera")),
      button("link", t("upload.address"), addAddress, { class: "big" }),
    ),
    limits,
  );
  const showLimits = (capabilities) => (limits.textContent = capabilities ? limitsOf(capabilities) : "");
  return { element, showLimits, free: listenForFiles(addFiles) };
}

function picker(id, attributes, addFiles) {
  const input = h("input", { id, type: "file", accept: "image/*,.heic,.heif,.avif", class: "visually-hidden", ...attributes });
  input.addEventListener("change", () => {
    addFiles([...input.files]);
    input.value = ""; // otherwise choosing the same file again emits no change
  });
  return input;
}

function limitsOf({ accepts, limits }) {
  const formats = Object.keys(accepts).map((name) => apiLabel("format", name)).join(", ");
  return t("upload.limits", { formats, size: formatBytes(limits.upload_bytes), pixels: formatMegapixels(limits.pixels) });
}

/** Accept files that are dropped or pasted anywhere on the page. Return a function that stops this. */
function listenForFiles(addFiles) {
  const onDragOver = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  };
  const onDragLeave = (event) => event.relatedTarget === null && document.body.classList.remove("dropping");
  const drop = (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files.length) addFiles([...event.dataTransfer.files]);
  };
  const paste = (event) => event.clipboardData.files.length && addFiles([...event.clipboardData.files]);
  const listeners = { dragover: onDragOver, dragleave: onDragLeave, drop, paste };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);
  return () => Object.entries(listeners).forEach(([name, listener]) => document.removeEventListener(name, listener));
}

/** Build the list of photos, with the actions for all of them. */
function buildPhotoList() {
  const cards = new Map();
  const list = h("ul", { class: "cards" });
  const progress = h("p", { class: "album-progress" });
  const zip = button("down", t("action.download_all"), () => downloadAll(finishedJobs()).catch((problem) => showToast(problemSentence(problem))));
  const clear = button("close", t("action.clear"), () => album.clear());
  const bar = h("div", { class: "album-bar" }, h("h2", {}, t("upload.photos")), progress, h("div", { class: "actions" }, zip, clear));
  const arrange = () => {
    for (const [entry, { element, free }] of cards) if (!album.entries.includes(entry)) (free(), element.remove(), cards.delete(entry));
    for (const entry of album.entries) if (!cards.has(entry)) cards.set(entry, card(entry));
    album.entries.forEach((entry, position) => {
      const { element } = cards.get(entry);
      if (list.children[position] !== element) list.insertBefore(element, list.children[position] ?? null);
    });
    sum();
  };
  const sum = () => {
    const done = finishedJobs().length;
    progress.textContent = t("upload.sum", { done, count: album.entries.length });
    zip.hidden = done === 0;
    clear.hidden = !album.entries.some(({ hasEnded }) => hasEnded);
    bar.hidden = album.entries.length === 0;
    document.body.classList.toggle("has-photos", album.entries.length > 0);
  };
  const timer = setInterval(() => cards.forEach(({ tick }, entry) => !entry.hasEnded && tick()), TICK_MS);
  const leave = [album.entriesChanged.listen(arrange), album.entryChanged.listen(sum), () => clearInterval(timer)];
  arrange();
  return { element: h("section", { class: "album" }, bar, list), free: () => [...leave, ...[...cards.values()].map(({ free }) => free)].forEach((act) => act()) };
}

const finishedJobs = () => album.entries.map(({ job }) => job).filter((job) => job?.status === "done");
