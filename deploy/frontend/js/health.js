// The lamp in the head of the page: whether uploads are taken, and how each dependency does.

import { API, trouble } from "./api.js";
import { h } from "./dom.js";
import { duration } from "./format.js";
import { t } from "./i18n.js";

const CALM_MS = 20_000;
const WORRIED_MS = 4000;

/** Keep the lamp `root` (a details element) up to date. */
export function watchHealth(root) {
  let timer = 0;
  let last = { status: "unknown", checks: {} };
  const look = async () => {
    last = await ask();
    draw(root, last);
    clearTimeout(timer); // of a look that was faster
    if (!document.hidden) timer = setTimeout(look, last.status === "ready" ? CALM_MS : WORRIED_MS);
  };
  document.addEventListener("visibilitychange", () => !document.hidden && look());
  trouble.listen(() => last.status === "ready" && look());
  look();
  return () => draw(root, last);
}

async function ask() {
  try {
    const answer = await fetch(`${API}/readyz`, { cache: "no-store" });
    const found = await answer.json();
    return found.checks ? found : { status: "unreachable", checks: {} }; // a proxy's answer in its place
  } catch {
    return { status: "unreachable", checks: {} };
  }
}

function draw(root, { status, checks }) {
  root.dataset.health = status;
  root.querySelector(".health-word").textContent = t(`health.${status}`);
  const rows = Object.entries(checks).map(([name, { ok, ms, error }]) =>
    h("li", { "data-ok": ok }, h("span", {}, t(`health.check.${name}`)), h("span", {}, ok ? duration(ms) : (error ?? "–"))),
  );
  root.querySelector(".health-more").replaceChildren(h("p", {}, t(`health.${status}.why`)), rows.length ? h("ul", {}, rows) : "");
}
