// The page: which view the address asks for, and what stands in its head.

import { album } from "./album.js";
import { announce } from "./dom.js";
import { watchHealth } from "./health.js";
import { LANGUAGES, current, speak, t, translate, word } from "./i18n.js";
import { lookAtAllAgain } from "./jobs.js";
import { askAgain, keyGiven } from "./keys.js";
import { recall, remember } from "./memory.js";
import { loadSettings } from "./settings.js";
import { sendWithKey, sending } from "./uploads.js";
import { jobView } from "./views/job.js";
import { jobsView } from "./views/jobs.js";
import { uploadView } from "./views/upload.js";

const VIEWS = { upload: uploadView, jobs: jobsView, job: jobView };
const THEMES = ["auto", "dark", "light"];
const main = document.getElementById("main");
let leave = () => {};

function route() {
  leave();
  leave = () => {};
  main.replaceChildren();
  const [path, query = ""] = location.hash.slice(1).split("?");
  const taskId = /^\/jobs\/([\w-]+)$/.exec(path)?.[1];
  const view = taskId ? "job" : path === "/jobs" ? "jobs" : "upload";
  document.body.dataset.view = view;
  document.title = `${t(`title.${view}`)} · Darkroom`;
  for (const link of document.querySelectorAll("nav.views a")) {
    const here = link.hash === (view === "upload" ? "#/" : "#/jobs");
    link.toggleAttribute("aria-current", here);
    if (here) link.setAttribute("aria-current", "page");
  }
  leave = VIEWS[view](main, taskId ?? new URLSearchParams(query));
}

function navigated() {
  askAgain();
  route();
  main.querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function languageButton(redraw) {
  const control = document.getElementById("language");
  const next = () => LANGUAGES[(LANGUAGES.indexOf(current()) + 1) % LANGUAGES.length];
  const draw = () => {
    translate(document);
    control.textContent = next().toUpperCase();
    control.lang = next();
  };
  control.addEventListener("click", () => {
    speak(next());
    draw();
    redraw();
    route();
  });
  draw();
}

function themeButton() {
  const control = document.getElementById("theme");
  const now = () => recall("theme") || "auto";
  const draw = () => {
    control.title = t("theme.is", { theme: t(`theme.${now()}`) });
    control.setAttribute("aria-label", control.title);
    if (now() === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now();
  };
  control.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(now()) + 1) % THEMES.length];
    remember("theme", next === "auto" ? "" : next);
    draw();
    announce(control.title);
  });
  draw();
  return draw;
}

/** Tell screen readers of every photo that has come to its end. */
function tellEnds() {
  const told = new WeakSet();
  album.moved.listen((entry) => {
    if (!entry.job || !entry.ended) return told.delete(entry);
    if (told.has(entry)) return;
    told.add(entry);
    announce(`${entry.name}: ${word("status", entry.job.status)}.`);
  });
}

/** Go on with what gave up for lack of a key. */
function goOnWithKey() {
  keyGiven.listen(() => {
    lookAtAllAgain();
    sendWithKey();
    route();
  });
}

await loadSettings();
const redrawTheme = themeButton();
const redrawHealth = watchHealth(document.getElementById("health"));
languageButton(() => (redrawTheme(), redrawHealth()));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.querySelector("h1")?.focus();
});
addEventListener("hashchange", navigated);
addEventListener("beforeunload", (event) => sending() && event.preventDefault());
tellEnds();
goOnWithKey();
album.restore();
route();
