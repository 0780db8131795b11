// Sizes, times, percentages and facts, in the format of the current language.

import { currentLanguage, t } from "./i18n.js";

const KIB = 1024;
const MIB = 1024 * 1024;

const numberFormat = (options) => new Intl.NumberFormat(currentLanguage(), options);
const unit = (name, digits, unitDisplay = "short") => numberFormat({ style: "unit", unit: name, unitDisplay, maximumFractionDigits: digits });

/** 1 536 -> 1.5 KiB. The limits use these units, which Intl does not have. */
export function formatBytes(bytes) {
  if (bytes < KIB) return unit("byte", 0, "long").format(bytes);
  if (bytes < MIB) return t("unit.kib", { size: numberFormat({ maximumFractionDigits: bytes < 10 * KIB ? 1 : 0 }).format(bytes / KIB) });
  return t("unit.mib", { size: numberFormat({ maximumFractionDigits: 1 }).format(bytes / MIB) });
}

/** 1 536 -> 1.5 s */
export function formatDuration(ms) {
  if (ms == null) return "–";
  if (ms < 1000) return unit("millisecond", 0, "narrow").format(ms);
  if (ms < 90_000) return unit("second", 1, "narrow").format(ms / 1000);
  return unit("minute", 0, "narrow").format(ms / 60_000);
}

/** The change of size in percent: 1 000 of 10 000 -> −90%, 1 of 10 000 -> −99.9%, as some of it is left */
export function formatSaving(bytes, whole) {
  const share = whole ? Math.max(bytes / whole - 1, bytes ? -0.999 : -1) : 0;
  const digits = share < -0.99 ? 1 : 0;
  return numberFormat({ style: "percent", maximumFractionDigits: digits, signDisplay: "exceptZero" }).format(share).replace("-", "−");
}

export const formatShare = (part) => numberFormat({ style: "percent", maximumFractionDigits: 0 }).format(part);
export const formatCount = (number) => numberFormat({}).format(number);
export const formatDimensions = (width, height) => `${formatCount(width)} × ${formatCount(height)}`;
export const formatMegapixels = (pixels) => numberFormat({ maximumFractionDigits: 0 }).format(pixels / 1e6);

/** A point in time; without the date if it is today. */
export function formatTime(text) {
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? {} : { dateStyle: "medium" };
  return new Intl.DateTimeFormat(currentLanguage(), { ...day, timeStyle: "medium" }).format(at);
}

/** What is special about an original: nothing of a plain photo. */
export function formatFacts({ bit_depth: bits, color_space: space, frames, has_alpha: alpha, has_gps: gps }) {
  return [
    bits > 8 && t("original.bits", { bits }),
    space && !space.name.startsWith("sRGB") && space.name,
    alpha && t("original.alpha"),
    frames > 1 && t("original.frames", { frames }),
    gps && t("original.gps"),
  ].filter(Boolean);
}
