// The upload queue: a few photos at once. Each has its own idempotency key, so a retry never makes a second job.

import { DarkroomError } from "../client.js";
import { darkroom } from "./api.js";
import { album } from "./album.js";
import { loadCapabilities } from "./capabilities.js";
import { announce, pause } from "./dom.js";
import { checkHealth, isServerDown, waitUntilReady } from "./health.js";
import { problemSentence, t } from "./i18n.js";
import { describeRefusal } from "./file-check.js";
import { allowKeyDialog } from "./keys.js";

const MAX_CONCURRENT_UPLOADS = 2;
const MAX_UNANSWERED_ATTEMPTS = 8; // if the server answers others, the file or a proxy is then the cause
const LONGEST_PAUSE_SECONDS = 60;
const UNANSWERED_STATUSES = new Set([0, 502, 503, 504]);
const BUSY_CODES = new Set(["overloaded", "storage_full"]);

let activeUploads = 0;
const commonPause = { until: 0, note: "upload.no_answer" }; // a pause that the server requests applies to all photos

/** Send photos: {file, name, bytes, operation, fields} each. Without a file, the fields name a source job. */
export function enqueue(photos) {
  const entries = album.add(photos);
  allowKeyDialog();
  announce(t("announce.chosen", { count: entries.length }));
  startUploads();
}

/** Retry an upload that failed temporarily. */
export function retryUpload(entry) {
  entry.set({ phase: "queued", problem: null });
  startUploads();
}

/** Retry the uploads that failed without a key. */
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
  const ownPause = { until: 0, note: "upload.busy" };
  let isChecked = false;
  for (let failures = 0; ; ) {
    await waitForTurn(entry, ownPause);
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
      if (isUnanswered(problem)) {
        await checkHealth();
        isChecked = false; // the key may have been refused: that answer is lost while the body is still being sent
        if (isServerDown()) failures = 0;
      }
      if (problem.status === 0 && failures >= MAX_UNANSWERED_ATTEMPTS) return recordProblem(entry, problem);
      extendPause(problem.code === "idempotency_key_in_use" ? ownPause : commonPause, problem, failures);
    }
  }
}

/** Return the problem that prevents an upload: the file would be refused, or the user gave no key; null if there is none. */
async function findRefusal({ file }, { refresh }) {
  let capabilities = null;
  try {
    capabilities = await loadCapabilities({ refresh });
  } catch (problem) {
    if (problem.code === "unauthorized") return problem;
  }
  const detail = file && (await describeRefusal(file, capabilities));
  return detail ? new DarkroomError({ status: 422, code: "refused_here", detail }) : null;
}

async function postPhoto(entry) {
  entry.set({ phase: "sending", progress: 0 });
  const onProgress = (progress) => entry.set({ progress });
  const { file, operation, fields, idempotencyKey, partsAddress: resumeFrom } = entry;
  const onResumable = (address) => (entry.partsAddress = address);
  const { signal } = entry.abortController;
  const job = await darkroom.upload(file, { ...fields, operation, idempotencyKey, resumeFrom, onResumable, onProgress, signal });
  entry.attachJob(job.taskId);
}

/** Wait while the server does not answer, and until the pauses that it requested are over. */
async function waitForTurn(entry, ownPause) {
  const { signal } = entry.abortController;
  while (!signal.aborted) {
    const { until, note } = ownPause.until > commonPause.until ? ownPause : commonPause;
    const left = until - Date.now();
    if (isServerDown()) {
      entry.set({ phase: "waiting" });
      await waitUntilReady(AbortSignal.any([signal, AbortSignal.timeout(LONGEST_PAUSE_SECONDS * 1000)]));
      if (isServerDown()) return; // try anyway: some proxies forward uploads but block health checks
    } else if (left > 0) {
      entry.set({ phase: "pausing", retryAt: until, pauseNote: note });
      await pause(Math.min(left, 1000), signal);
    } else return;
  }
}

/** Whether the server, or a store it needs, is away. Other transient problems mean that it is busy. */
const isUnanswered = ({ status, code }) => UNANSWERED_STATUSES.has(status) && !BUSY_CODES.has(code);

/** Pause as long as the server requested, or else with exponential backoff. */
function extendPause(state, problem, failures) {
  const { code, retryAfter } = problem;
  const seconds = retryAfter ?? Math.min(2 ** Math.max(failures - 1, 0), LONGEST_PAUSE_SECONDS);
  const until = Date.now() + seconds * 1000 + Math.random() * 500; // jitter, so that clients do not retry together
  const note = code === "storage_full" ? "upload.full" : isUnanswered(problem) ? "upload.no_answer" : "upload.busy";
  if (until > state.until) Object.assign(state, { until, note });
}

function recordProblem(entry, problem) {
  const phase = problem.isTransient || problem.code === "unauthorized" ? "unsent" : "refused";
  entry.set({ phase, problem });
  announce(`${entry.name}: ${problemSentence(problem)}`);
}
