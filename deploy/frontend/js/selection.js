// Select several jobs of the list, and act on all of them by one bulk action. Loaded late: without the server there are none.

import { darkroom, fetchJson } from "./api.js";
import { loadCapabilities } from "./capabilities.js";
import { askInDialog } from "./dialog.js";
import { button, h, pause, showToast } from "./dom.js";
import { currentLanguage, problemSentence } from "./i18n.js";

const POLL_MS = 1000;
const ICON_OF = { retry: "again", cancel: "close", reprocess: "camera", delete: "remove" };
const WORDS = {
  en: {
    selected: { one: "{count} job selected", other: "{count} jobs selected" },
    pick: "Select {name}",
    all: "Select all",
    end: "Stop selecting",
    group: "Actions for the selected jobs",
    retry: "Retry",
    cancel: "Cancel",
    reprocess: "Reprocess",
    delete: "Delete",
    sure_cancel: { one: "Cancel {count} job?", other: "Cancel {count} jobs?" },
    sure_delete: { one: "Delete {count} job and its images?", other: "Delete {count} jobs and their images?" },
    sure_reprocess: { one: "Reprocess {count} job?", other: "Reprocess {count} jobs?" },
    lost: "The images cannot be brought back.",
    stopped: "Jobs that have ended are left as they are.",
    kept: "The present results stay until the new ones are complete.",
    preset: "Preset",
    own: "that of each job",
    progress: "{seen} of {total}",
    ended: "{done} done, {skipped} skipped, {failed} not possible.",
  },
  ru: {
    selected: { one: "Выбрано {count} задание", few: "Выбрано {count} задания", other: "Выбрано {count} заданий" },
    pick: "Выбрать {name}",
    all: "Выбрать все",
    end: "Закончить выбор",
    group: "Действия с выбранными заданиями",
    retry: "Повторить",
    cancel: "Отменить",
    reprocess: "Обработать заново",
    delete: "Удалить",
    sure_cancel: { one: "Отменить {count} задание?", few: "Отменить {count} задания?", other: "Отменить {count} заданий?" },
    sure_delete: {
      one: "Удалить {count} задание и его снимки?",
      few: "Удалить {count} задания и их снимки?",
      other: "Удалить {count} заданий и их снимки?",
    },
    sure_reprocess: {
      one: "Обработать заново {count} задание?",
      few: "Обработать заново {count} задания?",
      other: "Обработать заново {count} заданий?",
    },
    lost: "Вернуть снимки будет нельзя.",
    stopped: "Законченные задания останутся как есть.",
    kept: "Нынешние результаты остаются, пока новые не готовы.",
    preset: "Пресет",
    own: "свой у каждого задания",
    progress: "{seen} из {total}",
    ended: "Сделано: {done}, пропущено: {skipped}, нельзя: {failed}.",
  },
};
const NOTES = { cancel: "stopped", delete: "lost", reprocess: "kept" };

function w(key, values = {}) {
  const found = WORDS[currentLanguage()][key];
  const text = typeof found === "string" ? found : found[new Intl.PluralRules(currentLanguage()).select(values.count)] ?? found.other;
  return text.replace(/{(\w+)}/g, (whole, name) => values[name] ?? whole);
}

/** Let the user select jobs of a list. `reload` shows the list again, once something was done with them, or it ends. */
export function startSelection(results, reload) {
  if (results.querySelector(".selection")) return;
  addStyles();
  const grid = results.querySelector(".job-grid");
  if (!grid) return;
  const boxes = [...grid.children].map((item) => addBox(item));
  const count = h("strong", { role: "status" });
  const acts = Object.keys(ICON_OF).map((action) =>
    button(ICON_OF[action], w(action), () => act(action), { class: action === "delete" ? "danger" : "" }),
  );
  const draw = () => {
    count.textContent = w("selected", { count: chosen().length });
    for (const control of acts) control.disabled = !chosen().length;
  };
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const all = h("button", { type: "button", onclick: () => (boxes.forEach((box) => (box.checked = true)), draw()) }, w("all"));
  const end = h("button", { type: "button", class: "last", onclick: reload }, w("end"));
  const bar = h("div", { class: "selection", role: "group", "aria-label": w("group") }, count, all, acts, end);
  grid.classList.add("selecting");
  grid.addEventListener("click", (event) => {
    const tile = event.target.closest(".job-tile");
    if (!tile || event.ctrlKey || event.metaKey) return;
    event.preventDefault(); // a click on the tile selects; its box does, too
    const box = tile.parentElement.querySelector(".job-pick input");
    box.checked = !box.checked;
    draw();
  });
  grid.addEventListener("change", draw);
  results.prepend(bar);
  draw();
  boxes[0]?.focus();

  async function act(action) {
    const taskIds = chosen();
    const options = await confirm(action, taskIds.length);
    if (!options) return;
    try {
      await follow(bar, { action, task_ids: taskIds, ...options });
    } catch (problem) {
      showToast(problemSentence(problem));
    }
    reload();
  }
}

function addStyles() {
  if (!document.getElementById("selection-styles")) document.head.append(h("link", { id: "selection-styles", rel: "stylesheet", href: "selection.css" }));
}

function addBox(item) {
  const tile = item.querySelector(".job-tile");
  const name = tile.querySelector(".job-tile-name").textContent;
  const box = h("input", { type: "checkbox", value: tile.hash.split("/").pop(), "aria-label": w("pick", { name }) });
  item.prepend(h("label", { class: "job-pick" }, box));
  tile.tabIndex = -1; // the box is what the keyboard reaches
  return box;
}

/** Ask whether to act, and resolve to the options of the action; null if the user declines. A retry is not asked for. */
async function confirm(action, count) {
  if (action === "retry") return {};
  const presets = action === "reprocess" ? await presetNames() : [];
  const select = h("select", {}, h("option", { value: "" }, w("own")), presets.map((name) => h("option", { value: name }, name)));
  const content = [
    h("p", {}, w(NOTES[action])),
    presets.length > 1 && h("label", { class: "field" }, h("span", {}, w("preset")), select),
  ];
  const isYes = await askInDialog({ title: w(`sure_${action}`, { count }), content, submit: w(action), narrow: true });
  if (!isYes) return null;
  return select.value ? { preset: select.value } : {};
}

async function presetNames() {
  const capabilities = await loadCapabilities().catch(() => null);
  return capabilities?.presets ?? [];
}

/** Send a bulk action, show its progress in the bar, and say how it ended. */
async function follow(bar, wanted) {
  const headers = { "Content-Type": "application/json" };
  const accepted = await fetchJson("/bulk", { method: "POST", headers, body: JSON.stringify(wanted) });
  const progress = h("progress", { max: wanted.task_ids.length, value: 0, "aria-label": w(wanted.action) });
  const words = h("span", { role: "status" });
  bar.replaceChildren(h("strong", {}, w(wanted.action)), progress, words);
  for (;;) {
    const status = await (await darkroom.request(accepted.links.status)).json();
    const seen = status.done + status.skipped + status.failed;
    progress.value = seen;
    words.textContent = w("progress", { seen, total: wanted.task_ids.length });
    if (status.finished_at) return showToast(w("ended", status));
    await pause(POLL_MS);
  }
}
