// The photos of this browser: uploads in progress, and their jobs. Views only show this state.

import { END_STATUSES, newKey } from "../client.js";
import { darkroom } from "./api.js";
import { Signal } from "./dom.js";
import { followJob } from "./job-subscriptions.js";
import * as memory from "./browser-storage.js";

const RESTORED = 24; // jobs of earlier visits that are shown again

/** One photo. `phase`: queued, sending, pausing, waiting, unsent, refused, job or gone. */
class Entry {
  changed = new Signal();
  abortController = new AbortController();
  idempotencyKey = newKey();
  partsAddress = null; // of an upload in parts
  phase = "queued";
  progress = 0;
  retryAt = 0;
  problem = null;
  taskId = null;
  job = null;

  constructor({ file = null, name, bytes, operation = "upload", fields = {} }) {
    Object.assign(this, { file, name, bytes, operation, fields });
  }

  /** Change the entry and notify the listeners. */
  set(changes) {
    Object.assign(this, changes);
    this.changed.emit(this);
    album.entryChanged.emit(this);
  }

  /** Whether the entry changes no more unless a person acts. */
  get hasEnded() {
    return this.phase === "unsent" || this.phase === "refused" || this.phase === "gone" || (this.job !== null && END_STATUSES.has(this.job.status));
  }

  /** Store the accepted job and follow it from now on. */
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
  entriesChanged = new Signal(); // an entry was added or removed
  entryChanged = new Signal(); // an entry changed

  /** Add photos at the front. */
  add(photos) {
    const entries = photos.map((photo) => new Entry(photo));
    this.entries.unshift(...entries);
    this.entriesChanged.emit();
    return entries;
  }

  /** Remove an entry. Its upload is stopped; its job continues but is not shown. */
  remove(entry) {
    entry.abortController.abort();
    if (entry.partsAddress && !entry.taskId) darkroom.discard(entry.partsAddress).catch(() => {}); // it expires
    entry.unfollow?.();
    this.entries = this.entries.filter((other) => other !== entry);
    this.entriesChanged.emit();
  }

  /** Remove an entry and forget it in this browser. The job stays on the server. */
  dismiss(entry) {
    if (entry.taskId) memory.forgetJob(entry.taskId);
    this.remove(entry);
  }

  /** Dismiss every entry that has ended. */
  clear() {
    for (const entry of this.entries.filter(({ hasEnded }) => hasEnded)) this.dismiss(entry);
  }

  /** Load the jobs of earlier visits. */
  restore() {
    const found = memory.loadJobs().slice(0, RESTORED);
    for (const { id, name, bytes } of found) {
      const entry = new Entry({ name, bytes });
      entry.phase = "job";
      this.entries.push(entry);
      entry.watch(id);
    }
  }

  /** Return the file that was chosen for a job; null if the page was reloaded since. */
  fileOf(taskId) {
    return this.entries.find((entry) => entry.taskId === taskId)?.file ?? null;
  }
}

export const album = new Album();
