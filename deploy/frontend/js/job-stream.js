// Watches one job until it ends: over its event stream, or with long polls if a proxy blocks streams.

import { Problem, fetchApi } from "./api.js";
import { pause } from "./dom.js";
import { isServerDown } from "./health.js";
import { isKeyDialogOpen } from "./keys.js";
import { parseEvents } from "./sse.js";

export const END_STATUSES = new Set(["done", "failed", "dead", "cancelled"]);
const FIRST_BYTES_MS = 5000; // the server sends the first event at once: a proxy that buffers it also buffers the others
const SILENCE_MS = 40_000; // more than two heartbeats
const FAILURES = 3; // failures of the stream before polling starts
const WAIT_SECONDS = 10;

let canStream = true;

class StreamUnavailable extends Error {}

/** Watch a job and call `onJob` at every change. Returns once the job has ended. Throws Problems that a retry cannot solve. */
export async function watchJob(taskId, { signal, onJob }) {
  const state = { taskId, signal, onJob, last: null, etag: null, retry: 2000 };
  let failures = 0;
  for (let ended = false; !ended && !signal.aborted; ) {
    let delay = 0;
    try {
      if (canStream && failures < FAILURES) {
        ended = await readStream(state);
        if (!ended && !state.last) ended = await poll(state); // the stream was empty: an answer says why
        failures = 0;
        delay = state.retry;
      } else {
        ended = await poll(state);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.isFinal) throw error;
      if (error instanceof StreamUnavailable && !isServerDown()) canStream = false; // if the server is away, the proxy is not the cause
      delay = Math.min(250 * 2 ** failures++, 4000);
    }
    if (!ended) await pause(delay, signal);
  }
}

async function readStream(state) {
  const silence = new AbortController();
  let timer = 0;
  const restartTimer = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => (isKeyDialogOpen() ? restartTimer(ms) : silence.abort()), ms); // wait while the user enters a key
  };
  restartTimer(FIRST_BYTES_MS);
  let hasBytes = false;
  const onBytes = () => {
    hasBytes = true;
    restartTimer(SILENCE_MS);
  };
  try {
    const answer = await openStream(state, AbortSignal.any([state.signal, silence.signal]));
    return answer.status === 204 || (await readEvents(answer.body, state, onBytes));
  } catch (error) {
    if (silence.signal.aborted && !hasBytes && !state.signal.aborted) throw new StreamUnavailable();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function openStream({ taskId, last }, signal) {
  const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
  try {
    const answer = await fetchApi(`/task-status/${taskId}/events`, { headers, signal });
    const type = answer.headers.get("Content-Type") ?? "";
    if (answer.status !== 204 && !type.startsWith("text/event-stream")) throw new StreamUnavailable();
    return answer;
  } catch (error) {
    if (error instanceof Problem && [404, 405, 406].includes(error.status) && error.code !== "job_not_found") throw new StreamUnavailable();
    throw error;
  }
}

/** Deliver every job event. Return true once the job has ended, false if the stream ends before. */
async function readEvents(body, state, onBytes) {
  for await (const event of parseEvents(body, onBytes)) {
    state.last = event.id ?? state.last;
    state.retry = event.retry ?? state.retry;
    if (event.type === "job" && deliverJob(state, JSON.parse(event.text))) return true;
  }
  return false;
}

async function poll(state) {
  const headers = state.etag ? { "If-None-Match": state.etag } : {};
  const wait = state.etag ? `?wait=${WAIT_SECONDS}` : "";
  const answer = await fetchApi(`/task-status/${state.taskId}${wait}`, { headers, signal: state.signal });
  state.etag = answer.headers.get("ETag");
  return answer.status !== 304 && deliverJob(state, await answer.json());
}

function deliverJob(state, job) {
  state.onJob(job);
  return END_STATUSES.has(job.status);
}
