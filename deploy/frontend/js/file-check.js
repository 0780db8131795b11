// Checks of a file before its upload, which save a useless upload. The gateway checks again and decides.

import { formatCount, formatDimensions, formatMegapixels, formatBytes } from "./format.js";
import { t } from "./i18n.js";

const HEAD_BYTES = 128 * 1024;
const BIG_ENDIAN = false;

/** Return a sentence that says why the file would be refused, or null. Without capabilities, limits are not checked. */
export async function describeRefusal(file, capabilities) {
  if (file.size === 0) return t("refusal.empty");
  if (file.type && !file.type.startsWith("image/")) return t("refusal.type", { name: file.name });
  const limits = capabilities?.limits;
  if (!limits) return null;
  if (file.size > limits.upload_bytes) {
    return t("refusal.size", { size: formatBytes(file.size), limit: formatBytes(limits.upload_bytes) });
  }
  const head = new DataView(await file.slice(0, HEAD_BYTES).arrayBuffer());
  return checkSize(readImageSize(head), limits);
}

function checkSize(found, { pixels, side }) {
  if (!found) return null;
  const [width, height] = found;
  if (width * height > pixels) {
    const limit = formatMegapixels(pixels);
    return t("refusal.pixels", { size: formatDimensions(width, height), actual: formatMegapixels(width * height), limit });
  }
  return Math.max(width, height) > side ? t("refusal.side", { size: formatDimensions(width, height), limit: formatCount(side) }) : null;
}

/** Return the stored [width, height] of a PNG, GIF, JPEG or BMP from its first bytes; null if they do not contain it. */
export function readImageSize(head) {
  try {
    const mark = head.getUint16(0, BIG_ENDIAN);
    if (mark === 0x8950) return [head.getUint32(16), head.getUint32(20)];
    if (mark === 0x4749) return [head.getUint16(6, true), head.getUint16(8, true)];
    if (mark === 0x424d) return [head.getUint32(18, true), Math.abs(head.getInt32(22, true))];
    if (mark === 0xffd8) return readJpegSize(head);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the head ends before the size
  }
  return null;
}

/** Read the size from the frame header: follow the markers up to it (ITU T.81, B.2.2). */
function readJpegSize(head) {
  for (let at = 2; ; at += 2 + head.getUint16(at + 2)) {
    while (head.getUint8(at + 1) === 0xff) at += 1; // fill bytes
    const marker = head.getUint8(at + 1);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return [head.getUint16(at + 7), head.getUint16(at + 5)];
    if (head.getUint8(at) !== 0xff || marker === 0xda) return null;
  }
}
