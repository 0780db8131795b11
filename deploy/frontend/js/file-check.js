// What can be told of a file before it is sent: refused here, it costs nobody a wait. The gateway decides all the same.

import { formatCount, formatDimensions, formatMegapixels, formatBytes } from "./format.js";
import { t } from "./i18n.js";

const HEAD_BYTES = 128 * 1024;
const BIG_ENDIAN = false;

/** Return a sentence that says why a file need not be sent, or null. Without capabilities only what is certain is said. */
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

/** Return [width, height] as stored of a PNG, GIF, JPEG or BMP from its first bytes; null where they do not tell. */
export function readImageSize(head) {
  try {
    const mark = head.getUint16(0, BIG_ENDIAN);
    if (mark === 0x8950) return [head.getUint32(16), head.getUint32(20)];
    if (mark === 0x4749) return [head.getUint16(6, true), head.getUint16(8, true)];
    if (mark === 0x424d) return [head.getUint32(18, true), Math.abs(head.getInt32(22, true))];
    if (mark === 0xffd8) return readJpegSize(head);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the head ends before it says
  }
  return null;
}

/** Go from marker to marker to the frame header (ITU T.81, B.2.2). */
function readJpegSize(head) {
  for (let at = 2; ; at += 2 + head.getUint16(at + 2)) {
    while (head.getUint8(at + 1) === 0xff) at += 1; // fill bytes
    const marker = head.getUint8(at + 1);
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return [head.getUint16(at + 7), head.getUint16(at + 5)];
    if (head.getUint8(at) !== 0xff || marker === 0xda) return null;
  }
}
