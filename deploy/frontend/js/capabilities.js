// What this server accepts and produces: requested once, and again after a failure.

import { darkroom } from "./api.js";

let pendingRequest = null;

/** Return the answer of GET /capabilities. `refresh` ignores the cached answer. */
export function loadCapabilities({ refresh = false } = {}) {
  if (refresh) pendingRequest = null;
  pendingRequest ??= darkroom.capabilities().catch((problem) => {
    pendingRequest = null;
    throw problem;
  });
  return pendingRequest;
}
