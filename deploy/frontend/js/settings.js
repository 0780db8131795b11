// Where other pages about the same jobs are: settings.json, with {host} and {task_id} filled in.

let found = {};

/** Read settings.json; without it there are no links. */
export async function loadSettings() {
  try {
    const answer = await fetch("settings.json");
    if (answer.ok) found = await answer.json();
  } catch {
    // The page works without.
  }
}

/** Return the address of "flower" or "grafana" for a job, or null where none is configured. */
export function externalUrl(name, taskId) {
  const pattern = found[name];
  return pattern ? pattern.replaceAll("{host}", location.hostname).replaceAll("{task_id}", taskId) : null;
}
