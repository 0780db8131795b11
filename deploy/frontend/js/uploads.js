// The way up: a few photos at once, each with a key of its own, so that trying again never makes two jobs of one photo.

import { Problem } from "./api.js";
import { album } from "./album.js";
import { capabilities } from "./capabilities.js";
import { announce, pause } from "./dom.js";
import { checkHealth, isAway, waitUntilBack } from "./health.js";
import { sentence, t } from "./i18n.js";
import { refusal } from "./inspect.js";
import { askAgain } from "./keys.js";
import { send } from "./send.js";

const AT_ONCE = 2;
const TRIES = 8; // without an answer while the server answers others: the file, or a proxy, is the reason
const LONGEST_PAUSE_SECONDS = 60;

let under = 0;
const hold = { until: 0, isBusy: false }; // what the server asked of one photo holds for all

/** Send photos: {file, name, bytes, operation, fields} each; without a file, the fields name a source. */
export function enqueue(photos) {
  const entries = album.add(photos);
  askAgain();
  announce(t("announce.chosen", { count: entries.length }));
  pump();
}

/** Try once more what was given up for a reason that may have passed. */
export function tryAgain(entry) {
  entry.set({ phase: "queued", problem: null });
  pump();
}

/** Send what was not sent because nobody gave a key. */
export function sendWithKey() {
  for (const entry of album.entries) if (entry.phase === "unsent" && entry.problem?.code === "unauthorized") tryAgain(entry);
}

/** Whether leaving the page now would lose photos. */
export const sending = () => album.entries.some(({ phase }) => ["queued", "sending", "pausing", "waiting"].includes(phase));

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
  const { signal } = entry.stopped;
  let isChecked = false;
  for (let failures = 0; ; ) {
    await waitForTurn(entry);
    if (signal.aborted) return;
    const objection = isChecked ? null : await findObjection(entry, { anew: failures > 0 });
    if (objection) return refuse(entry, objection);
    isChecked = true;
    try {
      return await attempt(entry);
    } catch (problem) {
      if (signal.aborted) return;
      if (!problem.passing) return refuse(entry, problem);
      failures += 1;
      if (problem.isUnanswered) {
        await checkHealth();
        isChecked = false; // a refused key can look like this: the answer is lost while the body is still being sent
        if (isAway()) failures = 0;
      }
      if (problem.status === 0 && failures >= TRIES) return refuse(entry, problem); // though the server answers others
      holdAll(problem, failures);
    }
  }
}

/** Return what is against sending a photo: it is no picture, or the API wants a key that nobody gives; else null. */
async function findObjection({ file }, { anew }) {
  let told = null;
  try {
    told = await capabilities({ anew });
  } catch (problem) {
    if (problem.code === "unauthorized") return problem;
  }
  const detail = file && (await refusal(file, told));
  return detail ? new Problem({ status: 422, code: "refused_here", detail }) : null;
}

async function attempt(entry) {
  entry.set({ phase: "sending", progress: 0 });
  const onProgress = (progress) => entry.set({ progress });
  const { task_id: taskId } = await send({ ...entry, signal: entry.stopped.signal, onProgress });
  entry.becomes(taskId);
}

/** Wait while the server does not answer, and for as long as it asked to be left alone. */
async function waitForTurn(entry) {
  const { signal } = entry.stopped;
  while (!signal.aborted) {
    const left = hold.until - Date.now();
    if (isAway()) {
      entry.set({ phase: "waiting" });
      await waitUntilBack(AbortSignal.any([signal, AbortSignal.timeout(LONGEST_PAUSE_SECONDS * 1000)]));
      if (isAway()) return; // some proxies let uploads through, but no questions about health
    } else if (left > 0) {
      entry.set({ phase: "pausing", again: hold.until, isBusy: hold.isBusy });
      await pause(Math.min(left, 1000), signal);
    } else return;
  }
}

/** Have every photo wait for what the server asked of one, else for longer after each failure. */
function holdAll({ retryAfter, isUnanswered }, failures) {
  const seconds = retryAfter ?? Math.min(2 ** Math.max(failures - 1, 0), LONGEST_PAUSE_SECONDS);
  const until = Date.now() + seconds * 1000 + Math.random() * 500; // not all clients at the same moment
  if (until > hold.until) Object.assign(hold, { until, isBusy: !isUnanswered });
}

function refuse(entry, problem) {
  const phase = problem.passing || problem.code === "unauthorized" ? "unsent" : "refused";
  entry.set({ phase, problem });
  announce(`${entry.name}: ${sentence(problem)}`);
}
