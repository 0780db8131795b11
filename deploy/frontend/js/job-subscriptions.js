// All jobs that this page shows. A browser opens six connections to a server, so only a few can be streams.

import { DarkroomError, END_STATUSES } from "../client.js";
import { darkroom } from "./api.js";
import { pause } from "./dom.js";

const STREAMS = 2; // the other connections are for uploads and images
const TURN_MS = 400; // between polls of jobs without a stream

const subscriptions = new Map();
let isPolling = false;

/** Call `listener` with {job} now and at every change, or with {problem}. Return a function that stops this. */
export function followJob(taskId, listener, { first = false } = {}) {
  const found = subscriptions.get(taskId) ?? { taskId, listeners: new Set(), job: null, etag: null, stream: null, isFinished: false };
  subscriptions.delete(taskId);
  const others = [...subscriptions];
  subscriptions.clear();
  for (const [id, one] of first ? [[taskId, found], ...others] : [...others, [taskId, found]]) subscriptions.set(id, one);
  found.listeners.add(listener);
  if (found.job) listener({ job: found.job });
  assignStreams();
  return () => unsubscribe(found, listener);
}

/** Follow an ended job again, because it was retried. */
export function refreshJob(taskId) {
  const found = subscriptions.get(taskId);
  if (!found) return;
  Object.assign(found, { isFinished: false, etag: null });
  assignStreams();
}

/** Follow all unfinished jobs again: another key may have access to them. */
export function refreshAllJobs() {
  for (const found of subscriptions.values()) if (!END_STATUSES.has(found.job?.status)) found.isFinished = false;
  assignStreams();
}

/** Return the last known job, with the time of its receipt; null if there is none. */
export const known = (taskId) => subscriptions.get(taskId)?.job ?? null;

function unsubscribe(found, listener) {
  found.listeners.delete(listener);
  if (found.listeners.size) return;
  found.stream?.abort();
  subscriptions.delete(found.taskId);
  assignStreams();
}

function assignStreams() {
  if (document.hidden) return;
  const open = [...subscriptions.values()].filter(({ isFinished }) => !isFinished);
  let free = STREAMS - open.filter(({ stream }) => stream).length;
  for (const found of open.filter(({ stream }) => !stream)) if (free-- > 0) stream(found);
  if (open.length > STREAMS) pollWaitingJobs();
}

async function stream(found) {
  const controller = new AbortController();
  found.stream = controller;
  try {
    for await (const job of darkroom.follow(found.taskId, { signal: controller.signal })) publishJob(found, job);
  } catch (problem) {
    if (!controller.signal.aborted) publishProblem(found, problem);
  } finally {
    if (found.stream === controller) found.stream = null;
    assignStreams();
  }
}

/** Poll the jobs that wait for a stream, one after the other. */
async function pollWaitingJobs() {
  if (isPolling) return;
  isPolling = true;
  for (let waiting = [null]; waiting.length && !document.hidden; ) {
    waiting = [...subscriptions.values()].filter((found) => !found.isFinished && !found.stream);
    for (const found of waiting) {
      if (found.isFinished || found.stream || document.hidden) continue;
      await pollJob(found);
      await pause(TURN_MS);
    }
  }
  isPolling = false;
}

async function pollJob(found) {
  const before = found.job;
  try {
    const headers = found.etag ? { "If-None-Match": found.etag } : {};
    const answer = await darkroom.request(`/task-status/${found.taskId}`, { headers });
    found.etag = answer.headers.get("ETag");
    const job = answer.status === 304 ? null : await answer.json();
    if (job && found.job === before) publishJob(found, job); // a stream that began meanwhile knows more
  } catch (problem) {
    if (!problem.isTransient) publishProblem(found, problem);
  }
}

function publishJob(found, job) {
  job.receivedAt = performance.now();
  found.job = job;
  if (END_STATUSES.has(job.status)) found.isFinished = true;
  for (const listener of [...found.listeners]) listener({ job });
}

function publishProblem(found, problem) {
  found.isFinished = true;
  if (!(problem instanceof DarkroomError)) throw problem;
  for (const listener of [...found.listeners]) listener({ problem });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return assignStreams();
  for (const { stream } of subscriptions.values()) stream?.abort(); // other tabs need the connections
});
