// What this browser stores. Job ids and preferences stay after the tab is closed, an API key does not. No cookies.

import { Signal } from "./dom.js";

const JOBS = "darkroom.jobs";
const MOST = 100;

function tryStorage(act, otherwise = null) {
  try {
    return act();
  } catch {
    return otherwise; // storage is disabled or full: nothing is stored
  }
}

/** Return a stored preference, or null. */
export const loadPreference = (name) => tryStorage(() => localStorage.getItem(`darkroom.${name}`));

/** Store a preference. */
export const savePreference = (name, word) => tryStorage(() => localStorage.setItem(`darkroom.${name}`, word));

/** Emits when the API key of this tab is another one. */
export const keyChanged = new Signal();

let apiKey = tryStorage(() => sessionStorage.getItem("darkroom.key")); // a variable, so that a key works without storage

/** Return the API key of this tab, or null. */
export const getApiKey = () => apiKey;

/** Store an API key until the tab is closed. */
export function setApiKey(value) {
  apiKey = value;
  tryStorage(() => sessionStorage.setItem("darkroom.key", value));
  keyChanged.emit();
}

/** Return the jobs that this browser submitted, newest first: {id, name, bytes}. */
export function loadJobs() {
  const found = tryStorage(() => JSON.parse(localStorage.getItem(JOBS)), []);
  return Array.isArray(found) ? found : [];
}

/** Store a job. */
export function rememberJob(job) {
  const others = loadJobs().filter(({ id }) => id !== job.id);
  write([job, ...others].slice(0, MOST));
}

/** Forget one job, or all jobs. */
export const forgetJob = (id) => write(loadJobs().filter((job) => job.id !== id));
export const forgetJobs = () => write([]);

const write = (found) => tryStorage(() => localStorage.setItem(JOBS, JSON.stringify(found)));
