// What this browser remembers. Ids of jobs and tastes outlive the tab, an API key does not; cookies are not used.

const JOBS = "darkroom.jobs";
const MOST = 100;

function tryStorage(act, otherwise = null) {
  try {
    return act();
  } catch {
    return otherwise; // switched off or full: then nothing is remembered
  }
}

/** Return a remembered word, or null. */
export const loadPreference = (name) => tryStorage(() => localStorage.getItem(`darkroom.${name}`));

/** Remember a word. */
export const savePreference = (name, word) => tryStorage(() => localStorage.setItem(`darkroom.${name}`, word));

let apiKey = tryStorage(() => sessionStorage.getItem("darkroom.key")); // in use also where the storage is switched off

/** Return the API key of this tab, or null. */
export const getApiKey = () => apiKey;

/** Keep an API key for as long as the tab lives. */
export function setApiKey(value) {
  apiKey = value;
  tryStorage(() => sessionStorage.setItem("darkroom.key", value));
}

/** Return the jobs that this browser sent in, the youngest first: {id, name, bytes}. */
export function loadJobs() {
  const found = tryStorage(() => JSON.parse(localStorage.getItem(JOBS)), []);
  return Array.isArray(found) ? found : [];
}

/** Remember a job. */
export function rememberJob(job) {
  const others = loadJobs().filter(({ id }) => id !== job.id);
  write([job, ...others].slice(0, MOST));
}

/** Forget one job, or all of them. */
export const forgetJob = (id) => write(loadJobs().filter((job) => job.id !== id));
export const forgetJobs = () => write([]);

const write = (found) => tryStorage(() => localStorage.setItem(JOBS, JSON.stringify(found)));
