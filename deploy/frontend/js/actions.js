// The buttons of a job that has ended: the same row on a card and on the job's page.

import { darkroom } from "./api.js";
import { button, h, showToast } from "./dom.js";
import { bestRendition, download, downloadAll, fileName } from "./downloads.js";
import { buildCurl } from "./curl.js";
import { problemSentence, t } from "./i18n.js";
import { operate } from "./operate.js";

/** Build the buttons of a job; `compact`: for a card, with the words below the icons. */
export function actions(job, { compact = false } = {}) {
  const rendition = bestRendition(job);
  const made = rendition && [
    button("down", t("action.download"), () => download(job, rendition).catch(reportProblem), { class: "primary", title: fileName(job, rendition) }),
    !compact && Object.keys(job.renditions).length > 1 && button("down", t("action.download_all"), () => downloadAll([job]).catch(reportProblem)),
    button("link", t("action.copy_link"), (event) => copy(event, darkroom.address(job.links.result)), { class: "copy" }),
  ];
  return h(
    "div",
    { class: compact ? "actions compact" : "actions", role: "group", "aria-label": t("action.group", { name: job.original.name ?? job.task_id }) },
    made,
    button("code", t("action.copy_curl"), (event) => copy(event, buildCurl(job)), { class: "copy" }),
    job.status === "done" &&
      ["crop", "grayscale", "resize"].map((operation) =>
        button(ICON_OF[operation], t(`operation.${operation}`), async () => {
          if (await operate(operation, { job })) location.hash = "#/";
        }),
      ),
  );
}

/** Build the button that copies the HTML of a rendition, for a page of another origin; null if the server is too old. */
export function pictureButton({ links, renditions }, name) {
  const html = renditions[name].picture?.replaceAll(links.result, darkroom.address(links.result));
  return html && button("picture", "<picture>", (event) => copy(event, html), { class: "copy", "aria-label": t("action.copy_picture", { name }) });
}

const ICON_OF = { crop: "crop", grayscale: "greys", resize: "resize" };

const reportProblem = (problem) => showToast(problemSentence(problem));

/** Copy a text, and show on the button that was pressed whether that worked. */
export async function copy({ currentTarget: control }, text) {
  const done = await writeToClipboard(text);
  showToast(t(done ? "announce.copied" : "announce.not_copied"));
  control.classList.add(done ? "worked" : "refused");
  setTimeout(() => control.classList.remove("worked", "refused"), 1500);
}

/** Copy text to the clipboard. The fallback is for plain http: the Clipboard API exists on https and localhost only. */
async function writeToClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "visually-hidden", readonly: true, "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
