// Elements, the signals that views listen to, and announcements for screen readers.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  up: "M12 16V4m0 0 5 5m-5-5L7 9M4 17v3h16v-3",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zm8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  down: "M12 4v12m0 0 5-5m-5 5-5-5M4 20h16",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1m2 4a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  code: "m8 7-5 5 5 5m8-10 5 5-5 5",
  picture: "M4 5h16v14H4zm0 11 5-5 4 4 3-3 4 4",
  crop: "M7 3v14h14M3 7h14v14",
  greys: "M12 3a9 9 0 1 0 0 18zm0 0a9 9 0 0 1 0 18",
  resize: "M4 14v6h6M20 10V4h-6M4 20 20 4",
  again: "M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5",
  remove: "M5 7h14M10 7V4h4v3m3 0-1 13H8L7 7",
  compare: "M12 3v18M5 6h4M5 12h4m-4 6h4m6-12h4m-4 6h4m-4 6h4",
  theme: "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
  close: "m6 6 12 12M18 6 6 18",
  key: "M15 9h.01M14 15a5 5 0 1 0-4.6-3L4 17.5V20h3l.5-2 2-.5.5-2z",
  open: "M9 5H5v14h14v-4M13 5h6v6m0-6-9 9",
};

/** Build an element: attributes and `on…` listeners by name, `vars` as CSS variables, children as nodes or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

function set(element, name, value) {
  if (value == null || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "vars") for (const [key, number] of Object.entries(value)) element.style.setProperty(`--${key}`, number);
  else element.setAttribute(name, value === true ? "" : value);
}

/** Draw an icon. It is hidden from screen readers: words beside it or the control's label say what it means. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Build a button with an icon and words. */
export function button(name, words, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, icon(name), h("span", {}, words));
}

/** An event with listeners. */
export class Signal {
  #listeners = new Set();

  /** Call `listener` at every emit. Return a function that stops this. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(...news) {
    for (const listener of [...this.#listeners]) listener(...news);
  }
}

let announceTimer = 0;
const sentences = [];

/** Announce a sentence to screen readers. Sentences within one second are joined; only the last three are kept. */
export function announce(sentence) {
  sentences.push(sentence);
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => {
    document.getElementById("announcer").textContent = sentences.splice(0).slice(-3).join(" ");
  }, 1000);
}

let toastTimer = 0;

/** Show a sentence for four seconds, and announce it to screen readers. */
export function showToast(sentence) {
  const toast = document.getElementById("toast");
  toast.textContent = sentence;
  toast.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (toast.hidden = true), 4000);
  announce(sentence);
}

/** Resolve after `ms`, or at once when the signal aborts. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
