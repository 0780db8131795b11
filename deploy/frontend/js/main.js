// The page: shows the view of the address, and sets up the header.

import { DarkroomError } from "../client.js";
import { album } from "./album.js";
import { announce, h } from "./dom.js";
import { problemBox } from "./failure.js";
import { callWhenReady, watchHealth } from "./health.js";
import { LANGUAGES, currentLanguage, loadSentences, setLanguage, t, translate, apiLabel } from "./i18n.js";
import { refreshAllJobs } from "./job-subscriptions.js";
import { allowKeyDialog, keyEntered } from "./keys.js";
import { loadPreference, savePreference } from "./browser-storage.js";
import { loadSettings } from "./settings.js";
import { retryUnauthorized, hasUnsentPhotos } from "./uploads.js";
import { jobView } from "./views/job.js";
import { jobsView } from "./views/jobs.js";
import { uploadView } from "./views/upload.js";

const VIEWS = { upload: uploadView, jobs: jobsView, job: jobView, webhooks: webhooksView };
const THEMES = ["auto", "dark", "light"];
const main = document.getElementById("main");
let leaveView = () => {};

function route() {
  leaveView();
  leaveView = () => {};
  main.replaceChildren();
  const [path, query = ""] = location.hash.slice(1).split("?");
  const taskId = /^\/jobs\/([\w-]+)$/.exec(path)?.[1];
  const [isWebhooks, webhookId] = /^\/webhooks(?:\/([\w.-]+))?$/.exec(path) ?? [];
  const view = taskId ? "job" : path === "/jobs" ? "jobs" : isWebhooks ? "webhooks" : "upload";
  document.body.dataset.view = view;
  document.title = `${t(`title.${view}`)} · Darkroom`;
  for (const link of document.querySelectorAll("nav.views a")) {
    const here = link.hash === (view === "upload" ? "#/" : view === "job" ? "#/jobs" : `#/${view}`);
    link.toggleAttribute("aria-current", here);
    if (here) link.setAttribute("aria-current", "page");
  }
  leaveView = VIEWS[view](main, taskId ?? webhookId ?? new URLSearchParams(query));
}

/** Show the webhooks. Their module is loaded late: without the server there is nothing to show. */
function webhooksView(root, id) {
  let leave = () => {};
  let hasLeft = false;
  const head = h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, t("title.webhooks")));
  root.append(head);
  const show = ({ webhooks }) => hasLeft || (leave = webhooks(root, id));
  const wait = () => hasLeft || (root.append(problemBox(new DarkroomError())), (leave = callWhenReady(route)));
  import("./views/webhooks.js").then(show, wait);
  return () => ((hasLeft = true), leave());
}

function onNavigate() {
  allowKeyDialog();
  route();
  main.querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function languageButton(redraw) {
  const control = document.getElementById("language");
  const next = () => LANGUAGES[(LANGUAGES.indexOf(currentLanguage()) + 1) % LANGUAGES.length];
  const draw = () => {
    translate(document);
    control.textContent = next().toUpperCase();
    control.lang = next();
  };
  control.addEventListener("click", async () => {
    setLanguage(next());
    draw();
    redraw();
    route();
    if (await loadSentences()) route();
  });
  draw();
}

function themeButton() {
  const control = document.getElementById("theme");
  const now = () => loadPreference("theme") || "auto";
  const draw = () => {
    control.title = t("theme.is", { theme: t(`theme.${now()}`) });
    control.setAttribute("aria-label", control.title);
    if (now() === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now();
  };
  control.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(now()) + 1) % THEMES.length];
    savePreference("theme", next === "auto" ? "" : next);
    draw();
    announce(control.title);
  });
  draw();
  return draw;
}

/** Announce every ended photo to screen readers. */
function announceEnds() {
  const announced = new WeakSet();
  album.entryChanged.listen((entry) => {
    if (!entry.job || !entry.hasEnded) return announced.delete(entry);
    if (announced.has(entry)) return;
    announced.add(entry);
    announce(`${entry.name}: ${apiLabel("status", entry.job.status)}.`);
  });
}

/** Retry what failed without a key, once the user enters one. */
function resumeWithKey() {
  keyEntered.listen(() => {
    refreshAllJobs();
    retryUnauthorized();
    route();
  });
}

await Promise.all([loadSettings(), loadSentences()]);
const redrawTheme = themeButton();
const redrawHealth = watchHealth(document.getElementById("health"));
languageButton(() => (redrawTheme(), redrawHealth()));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.querySelector("h1")?.focus();
});
addEventListener("hashchange", onNavigate);
addEventListener("beforeunload", (event) => hasUnsentPhotos() && event.preventDefault());
announceEnds();
resumeWithKey();
album.restore();
route();
