// The way up: a few photos at once, each with a key of its own, so that trying again never makes two jobs of one photo.

import { Problem } from "./api.js";
import { album } from "./album.js";
import { capabilities } from "./capabilities.js";
import { announce, pause } from "./dom.js";
import { sentence, t } from "./i18n.js";
import { refusal } from "./inspect.js";
import { askForKey } from "./keys.js";
import { send } from "./send.js";

const AT_ONCE = 2;
const TRIES = 8;

let under = 0;
let notBefore = 0; // what the server asked of one photo holds for all

/** Send photos: {file, name, bytes, operation, fields} each; without a file, the fields name a source. */
export function enqueue(photos) {
  const entries = album.add(photos);
  announce(t("announce.chosen", { count: entries.length }));
  pump();
}

/** Try once more what was given up for a reason that may have passed. */
export function tryAgain(entry) {
  entry.set({ phase: "queued", problem: null });
  pump();
}

/** Whether leaving the page now would lose photos. */
export const sending = () => album.entries.some(({ phase }) => ["queued", "sending", "pausing"].includes(phase));

function pump() {
  while (under < AT_ONCE) {
    const next = album.entries.findLast(({ phase }) => phase === "queued");
    if (!next) return;
    under += 1;
    next.set({ phase: "sending", progress: 0 });
    deliver(next).finally(() => {
      under -= 1;
      pump();
    });
  }
}

async function deliver(entry) {
  const early = entry.file && (await refusal(entry.file, await capabilities().catch(() => null)));
  if (early) return refuse(entry, new Problem({ status: 422, code: "refused_here", detail: early }));
  for (let tries = 1; !entry.stopped.signal.aborted; tries += 1) {
    await held(entry);
    try {
      return await attempt(entry);
    } catch (problem) {
      if (entry.stopped.signal.aborted) return;
      if (problem.code === "unauthorized" && (await askForKey())) continue;
      if (!problem.passing || tries >= TRIES) return refuse(entry, problem);
      notBefore = Math.max(notBefore, Date.now() + delay(problem, tries));
    }
  }
}

async function attempt(entry) {
  entry.set({ phase: "sending", progress: 0 });
  const onProgress = (progress) => entry.set({ progress });
  const { task_id: taskId } = await send({ ...entry, signal: entry.stopped.signal, onProgress });
  entry.becomes(taskId);
}

/** Wait for as long as the server asked to be left alone. */
async function held(entry) {
  for (let left = notBefore - Date.now(); left > 0; left = notBefore - Date.now()) {
    entry.set({ phase: "pausing", again: notBefore });
    await pause(Math.min(left, 1000), entry.stopped.signal);
    if (entry.stopped.signal.aborted) return;
  }
}

function delay({ retryAfter }, tries) {
  const seconds = retryAfter ?? Math.min(2 ** (tries - 1), 20);
  return seconds * 1000 + Math.random() * 500; // not all clients at the same moment
}

function refuse(entry, problem) {
  entry.set({ phase: "refused", problem });
  announce(`${entry.name}: ${sentence(problem)}`);
}
