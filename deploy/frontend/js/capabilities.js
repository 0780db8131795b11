// What this Darkroom takes and gives: asked once, and again after a failure.

import { askJson } from "./api.js";

let asked = null;

/** Return the answer of GET /capabilities. */
export function capabilities() {
  asked ??= askJson("/capabilities").catch((problem) => {
    asked = null;
    throw problem;
  });
  return asked;
}
