// Links to other tools for a job, from settings.json, with {host} and {task_id} filled in.

let found = {};

/** Load settings.json. Without it there are no links. */
export async function loadSettings() {
  try {
    const answer = await fetch("settings.json");
    if (answer.ok) found = await answer.json();
  } catch {
    // The page works without the links.
  }
}

/** Return the address of "flower" or "grafana" for a job, or null where none is configured. */
export function externalUrl(name, taskId) {
  const pattern = found[name];
  return pattern ? pattern.replaceAll("{host}", location.hostname).replaceAll("{task_id}", taskId) : null;
}
