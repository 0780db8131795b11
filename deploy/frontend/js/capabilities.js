// What this Darkroom takes and gives: asked once, and again after a failure.

import { askJson } from "./api.js";

let asked = null;

/** Return the answer of GET /capabilities; `anew`: asked now, not remembered. */
export function capabilities({ anew = false } = {}) {
  if (anew) asked = null;
  asked ??= askJson("/capabilities").catch((problem) => {
    asked = null;
    throw problem;
  });
  return asked;
}
