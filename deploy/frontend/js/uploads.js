// The way up: a few photos at once, each with a key of its own, so that trying again never makes two jobs of one photo.

import { Problem } from "./api.js";
import { album } from "./album.js";
import { loadCapabilities } from "./capabilities.js";
import { announce, pause } from "./dom.js";
import { checkHealth, isServerDown, waitUntilReady } from "./health.js";
import { problemSentence, t } from "./i18n.js";
import { describeRefusal } from "./file-check.js";
import { allowKeyDialog } from "./keys.js";
import { uploadForm } from "./send.js";

const MAX_CONCURRENT_UPLOADS = 2;
const MAX_UNANSWERED_ATTEMPTS = 8; // without an answer while the server answers others: the file, or a proxy, is the reason
const LONGEST_PAUSE_SECONDS = 60;

let activeUploads = 0;
const pauseState = { until: 0, isBusy: false }; // what the server asked of one photo holds for all

/** Send photos: {file, name, bytes, operation, fields} each; without a file, the fields name a source. */
export function enqueue(photos) {
  const entries = album.add(photos);
  allowKeyDialog();
  announce(t("announce.chosen", { count: entries.length }));
  startUploads();
}

/** Try once more what was given up for a reason that may have passed. */
export function retryUpload(entry) {
  entry.set({ phase: "queued", problem: null });
  startUploads();
}

/** Send what was not sent because nobody gave a key. */
export function retryUnauthorized() {
  for (const entry of album.entries) if (entry.phase === "unsent" && entry.problem?.code === "unauthorized") retryUpload(entry);
}

/** Whether leaving the page now would lose photos. */
export const hasUnsentPhotos = () => album.entries.some(({ phase }) => ["queued", "sending", "pausing", "waiting"].includes(phase));

function startUploads() {
  while (activeUploads < MAX_CONCURRENT_UPLOADS) {
    const next = album.entries.findLast(({ phase }) => phase === "queued");
    if (!next) return;
    activeUploads += 1;
    next.set({ phase: "sending", progress: 0 });
    uploadPhoto(next).finally(() => {
      activeUploads -= 1;
      startUploads();
    });
  }
}

async function uploadPhoto(entry) {
  const { signal } = entry.abortController;
  let isChecked = false;
  for (let failures = 0; ; ) {
    await waitForTurn(entry);
    if (signal.aborted) return;
    const rejection = isChecked ? null : await findRefusal(entry, { refresh: failures > 0 });
    if (rejection) return recordProblem(entry, rejection);
    isChecked = true;
    try {
      return await postPhoto(entry);
    } catch (problem) {
      if (signal.aborted) return;
      if (!problem.isTransient) return recordProblem(entry, problem);
      failures += 1;
      if (problem.isUnanswered) {
        await checkHealth();
        isChecked = false; // a refused key can look like this: the answer is lost while the body is still being sent
        if (isServerDown()) failures = 0;
      }
      if (problem.status === 0 && failures >= MAX_UNANSWERED_ATTEMPTS) return recordProblem(entry, problem); // though the server answers others
      pauseAll(problem, failures);
    }
  }
}

/** Return what is against sending a photo: it is no picture, or the API wants a key that nobody gives; else null. */
async function findRefusal({ file }, { refresh }) {
  let capabilities = null;
  try {
    capabilities = await loadCapabilities({ refresh });
  } catch (problem) {
    if (problem.code === "unauthorized") return problem;
  }
  const detail = file && (await describeRefusal(file, capabilities));
  return detail ? new Problem({ status: 422, code: "refused_here", detail }) : null;
}

async function postPhoto(entry) {
  entry.set({ phase: "sending", progress: 0 });
  const onProgress = (progress) => entry.set({ progress });
  const { task_id: taskId } = await uploadForm({ ...entry, signal: entry.abortController.signal, onProgress });
  entry.attachJob(taskId);
}

/** Wait while the server does not answer, and for as long as it asked to be left alone. */
async function waitForTurn(entry) {
  const { signal } = entry.abortController;
  while (!signal.aborted) {
    const left = pauseState.until - Date.now();
    if (isServerDown()) {
      entry.set({ phase: "waiting" });
      await waitUntilReady(AbortSignal.any([signal, AbortSignal.timeout(LONGEST_PAUSE_SECONDS * 1000)]));
      if (isServerDown()) return; // some proxies let uploads through, but no questions about health
    } else if (left > 0) {
      entry.set({ phase: "pausing", retryAt: pauseState.until, isBusy: pauseState.isBusy });
      await pause(Math.min(left, 1000), signal);
    } else return;
  }
}

/** Have every photo wait for what the server asked of one, else for longer after each failure. */
function pauseAll({ retryAfter, isUnanswered }, failures) {
  const seconds = retryAfter ?? Math.min(2 ** Math.max(failures - 1, 0), LONGEST_PAUSE_SECONDS);
  const until = Date.now() + seconds * 1000 + Math.random() * 500; // not all clients at the same moment
  if (until > pauseState.until) Object.assign(pauseState, { until, isBusy: !isUnanswered });
}

function recordProblem(entry, problem) {
  const phase = problem.isTransient || problem.code === "unauthorized" ? "unsent" : "refused";
  entry.set({ phase, problem });
  announce(`${entry.name}: ${problemSentence(problem)}`);
}
