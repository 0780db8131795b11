// All jobs that somebody on this page looks at. A browser has six connections to a server: few may stay open.

import { Problem, ask } from "./api.js";
import { pause } from "./dom.js";
import { ENDED, watch } from "./watch.js";

const STREAMS = 2; // the other connections are for photos on their way up, and for pictures
const TURN_MS = 400; // between questions about jobs that have no stream yet

const followed = new Map();
let asking = false;

/** Call `listener` with {job} now and at every change, or with {problem}; returns what ends that. */
export function follow(taskId, listener, { first = false } = {}) {
  const found = followed.get(taskId) ?? { taskId, listeners: new Set(), job: null, etag: null, stream: null, over: false };
  followed.delete(taskId);
  const others = [...followed];
  followed.clear();
  for (const [id, one] of first ? [[taskId, found], ...others] : [...others, [taskId, found]]) followed.set(id, one);
  found.listeners.add(listener);
  if (found.job) listener({ job: found.job });
  arrange();
  return () => leave(found, listener);
}

/** Look at a job again that had ended, because it was set going anew. */
export function lookAgain(taskId) {
  const found = followed.get(taskId);
  if (!found) return;
  Object.assign(found, { over: false, etag: null });
  arrange();
}

/** Look at everything again: another key may see what this one did not. */
export function lookAtAllAgain() {
  for (const found of followed.values()) if (!ENDED.has(found.job?.status)) found.over = false;
  arrange();
}

/** The job as it was last told, with the moment it was told at; null where it was not yet. */
export const known = (taskId) => followed.get(taskId)?.job ?? null;

function leave(found, listener) {
  found.listeners.delete(listener);
  if (found.listeners.size) return;
  found.stream?.abort();
  followed.delete(found.taskId);
  arrange();
}

function arrange() {
  if (document.hidden) return;
  const open = [...followed.values()].filter(({ over }) => !over);
  let free = STREAMS - open.filter(({ stream }) => stream).length;
  for (const found of open.filter(({ stream }) => !stream)) if (free-- > 0) stream(found);
  if (open.length > STREAMS) askAround();
}

async function stream(found) {
  const controller = new AbortController();
  found.stream = controller;
  try {
    await watch(found.taskId, { signal: controller.signal, onJob: (job) => tell(found, job) });
    found.over ||= !controller.signal.aborted;
  } catch (problem) {
    fail(found, problem);
  } finally {
    if (found.stream === controller) found.stream = null;
    arrange();
  }
}

/** Ask in turn about those that wait for a stream. */
async function askAround() {
  if (asking) return;
  asking = true;
  for (let waiting = [null]; waiting.length && !document.hidden; ) {
    waiting = [...followed.values()].filter((found) => !found.over && !found.stream);
    for (const found of waiting) {
      if (found.over || found.stream || document.hidden) continue;
      await askOnce(found);
      await pause(TURN_MS);
    }
  }
  asking = false;
}

async function askOnce(found) {
  try {
    const headers = found.etag ? { "If-None-Match": found.etag } : {};
    const answer = await ask(`/task-status/${found.taskId}`, { headers });
    found.etag = answer.headers.get("ETag");
    if (answer.status !== 304) tell(found, await answer.json());
  } catch (problem) {
    if (!problem.passing) fail(found, problem);
  }
}

function tell(found, job) {
  if (found.job && Date.parse(job.updated_at) < Date.parse(found.job.updated_at)) return; // overtaken
  job.told = performance.now();
  found.job = job;
  if (ENDED.has(job.status)) found.over = true;
  for (const listener of [...found.listeners]) listener({ job });
}

function fail(found, problem) {
  found.over = true;
  if (!(problem instanceof Problem)) throw problem;
  for (const listener of [...found.listeners]) listener({ problem });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return arrange();
  for (const { stream } of followed.values()) stream?.abort(); // other tabs need the connections
});
