// The photos of this browser: those on their way up, and the jobs they became. Views only show it.

import { Signal } from "./dom.js";
import { followJob } from "./job-subscriptions.js";
import * as memory from "./browser-storage.js";
import { newKey } from "./send.js";
import { END_STATUSES } from "./job-stream.js";

const RESTORED = 24; // of the jobs remembered from earlier visits

/** One photo. `phase`: queued, sending, pausing, waiting, unsent, refused, job or gone. */
class Entry {
  changed = new Signal();
  abortController = new AbortController();
  idempotencyKey = newKey();
  phase = "queued";
  progress = 0;
  retryAt = 0;
  problem = null;
  taskId = null;
  job = null;

  constructor({ file = null, name, bytes, operation = "upload", fields = {} }) {
    Object.assign(this, { file, name, bytes, operation, fields });
  }

  /** Change it, and tell. */
  set(changes) {
    Object.assign(this, changes);
    this.changed.emit(this);
    album.entryChanged.emit(this);
  }

  /** Whether nothing more will happen to it by itself. */
  get hasEnded() {
    return this.phase === "unsent" || this.phase === "refused" || this.phase === "gone" || (this.job !== null && END_STATUSES.has(this.job.status));
  }

  /** It was accepted: from here on its job is watched. */
  attachJob(taskId) {
    memory.rememberJob({ id: taskId, name: this.name, bytes: this.bytes });
    this.watch(taskId);
    this.set({ phase: "job", taskId, problem: null });
  }

  watch(taskId) {
    this.taskId = taskId;
    this.unfollow = followJob(taskId, ({ job, problem }) => (job ? this.set({ job, problem: null }) : this.handleProblem(problem)));
  }

  handleProblem(problem) {
    if (problem.code !== "job_not_found") return this.set({ problem });
    memory.forgetJob(this.taskId);
    album.remove(this);
  }
}

class Album {
  entries = [];
  entriesChanged = new Signal(); // an entry came or went
  entryChanged = new Signal(); // an entry changed

  /** Put photos in front. */
  add(photos) {
    const entries = photos.map((photo) => new Entry(photo));
    this.entries.unshift(...entries);
    this.entriesChanged.emit();
    return entries;
  }

  /** Take one out; what is on its way up is stopped, a job goes on without being shown. */
  remove(entry) {
    entry.abortController.abort();
    entry.unfollow?.();
    this.entries = this.entries.filter((other) => other !== entry);
    this.entriesChanged.emit();
  }

  /** Take one out and forget it here; its job stays. */
  dismiss(entry) {
    if (entry.taskId) memory.forgetJob(entry.taskId);
    this.remove(entry);
  }

  /** Take out everything that has ended, and forget it. */
  clear() {
    for (const entry of this.entries.filter(({ hasEnded }) => hasEnded)) this.dismiss(entry);
  }

  /** Bring back the jobs of earlier visits. */
  restore() {
    const found = memory.loadJobs().slice(0, RESTORED);
    for (const { id, name, bytes } of found) {
      const entry = new Entry({ name, bytes });
      entry.phase = "job";
      this.entries.push(entry);
      entry.watch(id);
    }
  }

  /** Return the photo of a job as it was chosen in this browser, if the page was not loaded anew since. */
  fileOf(taskId) {
    return this.entries.find((entry) => entry.taskId === taskId)?.file ?? null;
  }
}

export const album = new Album();
