// What this Darkroom takes and gives: asked once, and again after a failure.

import { fetchJson } from "./api.js";

let pendingRequest = null;

/** Return the answer of GET /capabilities; `refresh`: asked now, not remembered. */
export function loadCapabilities({ refresh = false } = {}) {
  if (refresh) pendingRequest = null;
  pendingRequest ??= fetchJson("/capabilities").catch((problem) => {
    pendingRequest = null;
    throw problem;
  });
  return pendingRequest;
}
