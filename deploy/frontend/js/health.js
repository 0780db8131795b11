// Whether the server answers and accepts uploads: polled, and shown by the lamp in the header.

import { darkroom, requestFailed } from "./api.js";
import { Signal, h } from "./dom.js";
import { formatDuration } from "./format.js";
import { t } from "./i18n.js";

const READY_INTERVAL_MS = 2000; // plus the timeout: the page shows after 5 s that a gateway does not answer
const TIMEOUT_MS = 3000; // the gateway gives each dependency 2 s
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

/** The last known health; `changed` emits after every check. */
export const health = { status: "unknown", checks: {}, changed: new Signal() };

let pendingCheck = null;
let timer = 0;
let failures = 0;
let waiterCount = 0;

export const acceptsUploads = () => health.status === "ready" || health.status === "degraded";
export const isServerDown = () => health.status === "unreachable" || health.status === "unavailable";

/** Check now; resolve once `health` is up to date. */
export function checkHealth() {
  pendingCheck ??= fetchHealth().then((found) => {
    pendingCheck = null;
    Object.assign(health, found);
    failures = acceptsUploads() ? 0 : failures + 1;
    schedule();
    health.changed.emit();
  });
  return pendingCheck;
}

/** Call `act` once the server accepts uploads. Return a function that cancels this. */
export function callWhenReady(act) {
  const leave = health.changed.listen(() => acceptsUploads() && (leave(), act()));
  return leave;
}

/** Resolve once the server accepts uploads, or the signal aborts. Polling continues while the page is hidden. */
export async function waitUntilReady(signal) {
  if (acceptsUploads() || signal.aborted) return;
  waiterCount += 1;
  schedule();
  await new Promise((resolve) => {
    const leave = callWhenReady(resolve);
    signal.addEventListener("abort", () => (leave(), resolve()), { once: true });
  });
  waiterCount -= 1;
}

function schedule() {
  clearTimeout(timer);
  if (document.hidden && !waiterCount) return;
  const pause = acceptsUploads() ? READY_INTERVAL_MS : Math.min(FIRST_PAUSE_MS * 1.5 ** (failures - 1), LONGEST_PAUSE_MS);
  timer = setTimeout(checkHealth, pause);
}

async function fetchHealth() {
  try {
    const answer = await fetch(darkroom.address("/readyz"), { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const found = await answer.json();
    if (found.checks) return { status: found.status, checks: found.checks }; // otherwise a proxy answered
  } catch {
    // The server does not answer.
  }
  return { status: "unreachable", checks: {} };
}

/** Keep the lamp `root` (a details element) up to date. Return a function that redraws it, for another language. */
export function watchHealth(root) {
  const redraw = () => draw(root, health);
  health.changed.listen(redraw);
  document.addEventListener("visibilitychange", () => !document.hidden && checkHealth());
  for (const event of ["online", "offline"]) addEventListener(event, checkHealth);
  requestFailed.listen(() => acceptsUploads() && checkHealth());
  redraw();
  checkHealth();
  return redraw;
}

function draw(root, { status, checks }) {
  root.dataset.health = status;
  const word = status === "degraded" && checks.disk?.ok === false ? "full" : status;
  root.querySelector(".health-word").textContent = t(`health.${word}`);
  const rows = Object.entries(checks).map(([name, { ok, ms, error }]) =>
    h("li", { "data-ok": ok }, h("span", {}, t(`health.check.${name}`)), h("span", {}, ok ? formatDuration(ms) : (error ?? "–"))),
  );
  root.querySelector(".health-more").replaceChildren(h("p", {}, t(`health.${word}.why`)), rows.length ? h("ul", {}, rows) : "");
}
