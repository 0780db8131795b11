// What was found in an original, in a few words.

import { t } from "./i18n.js";

const COMMON_BITS = 8;

/** Return what is special about an original: nothing of a plain upright sRGB photo. An older server sends none of it. */
export function originalFacts({ bit_depth: bits, color_space: space, frames, orientation, has_alpha: alpha, has_gps: gps }) {
  const source = space && !space.name.startsWith("sRGB") && { icc: "ICC", cicp: "CICP", gama: "gAMA" }[space.source];
  return [
    bits && bits !== COMMON_BITS && t("original.bits", { count: bits }),
    source && `${space.name} (${source})`,
    alpha && t("original.alpha"),
    frames > 1 && t("original.frames", { count: frames }),
    orientation > 1 && t("original.orientation", { orientation }),
    gps && t("original.gps"),
  ].filter(Boolean);
}
