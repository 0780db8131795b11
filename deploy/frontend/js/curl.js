// The curl command for a job: the same request that this page sends.

import { darkroom } from "./api.js";
import { getApiKey } from "./browser-storage.js";

const quoteShell = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** Return the curl command for a job: the same operation on the same file or source. It names the key's variable, never the key. */
export function buildCurl(job) {
  const operation = job.kind === "previews" ? "upload" : job.kind;
  const words = ["curl"];
  if (getApiKey()) words.push('-H "Authorization: Bearer $DARKROOM_API_KEY"');
  if (job.source_task_id) words.push("-F", quoteShell(`source_task_id=${job.source_task_id}`));
  else if (job.source) words.push("-F", quoteShell(job.source.key ? `source_key=${job.source.key}` : `source_url=${job.source.url}`));
  else words.push("-F", quoteShell(`file=@"${(job.original.name ?? "photo").replaceAll('"', '\\"')}"`));
  for (const [name, value] of Object.entries(fieldsOf(job))) words.push("-F", quoteShell(`${name}=${value}`));
  return [...words, quoteShell(darkroom.address(`/${operation}`))].join(" ");
}

/** Return the fields that differ from their defaults. */
function fieldsOf({ operation }) {
  const { format, quality, background, animated } = operation;
  const given = Object.entries({ ...operation.parameters, quality }).filter(([, value]) => value != null && value !== false);
  const fields = given.map(([name, value]) => [name, Array.isArray(value) ? value.join(":") : value]); // the API returns an aspect ratio as a pair
  if (format !== "auto") fields.push(["format", format]);
  if (background !== "#ffffff") fields.push(["background", background]);
  if (animated) fields.push(["animated", "true"]);
  return Object.fromEntries(fields);
}
