// What this browser remembers. Ids of jobs and tastes outlive the tab, an API key does not; cookies are not used.

const JOBS = "darkroom.jobs";
const MOST = 100;

function guarded(act, otherwise = null) {
  try {
    return act();
  } catch {
    return otherwise; // switched off or full: then nothing is remembered
  }
}

/** Return a remembered word, or null. */
export const recall = (name) => guarded(() => localStorage.getItem(`darkroom.${name}`));

/** Remember a word. */
export const remember = (name, word) => guarded(() => localStorage.setItem(`darkroom.${name}`, word));

let held = guarded(() => sessionStorage.getItem("darkroom.key")); // in use also where the storage is switched off

/** Return the API key of this tab, or null. */
export const key = () => held;

/** Keep an API key for as long as the tab lives. */
export function keepKey(value) {
  held = value;
  guarded(() => sessionStorage.setItem("darkroom.key", value));
}

/** Return the jobs that this browser sent in, the youngest first: {id, name, bytes}. */
export function jobs() {
  const found = guarded(() => JSON.parse(localStorage.getItem(JOBS)), []);
  return Array.isArray(found) ? found : [];
}

/** Remember a job. */
export function rememberJob(job) {
  const others = jobs().filter(({ id }) => id !== job.id);
  write([job, ...others].slice(0, MOST));
}

/** Forget one job, or all of them. */
export const forgetJob = (id) => write(jobs().filter((job) => job.id !== id));
export const forgetJobs = () => write([]);

const write = (found) => guarded(() => localStorage.setItem(JOBS, JSON.stringify(found)));
