// The blur that is shown until an image is there: a ThumbHash on a canvas, or a plain colour.

import { h } from "./dom.js";

const LONG_SIDE = 32;
const CHROMA_WAVES = 3;
const ALPHA_WAVES = 5;
const SATURATION = 1.25; // makes up for what rounding takes from the colours

/** Build the picture of a job's placeholder. `ratio` is the aspect ratio of the image; a ThumbHash knows it roughly. */
export function placeholderPicture({ thumbhash, color }, ratio = null) {
  const canvas = h("canvas", { class: "placeholder", "aria-hidden": "true" });
  try {
    const { width, height, pixels } = decodeThumbhash(Uint8Array.from(atob(thumbhash), (letter) => letter.charCodeAt(0)));
    const image = new ImageData(pixels, width, height);
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
  } catch {
    canvas.style.setProperty("--color", color); // a hash of another kind
  }
  canvas.style.setProperty("--ratio", ratio || canvas.width / canvas.height);
  return canvas;
}

/** Decode a ThumbHash, https://evanw.github.io/thumbhash/, to RGBA pixels with straight alpha. */
export function decodeThumbhash(bytes) {
  const read = bitReader(bytes);
  const [brightness, yellowness, redness] = [read(6) / 63, read(6) / 31.5 - 1, read(6) / 31.5 - 1];
  const brightnessScale = read(5) / 31;
  const hasAlpha = read(1) === 1;
  const shortWaves = read(3);
  const [yellowScale, redScale] = [read(6) / 63, read(6) / 63];
  const isLandscape = read(1) === 1;
  const [opacity, opacityScale] = hasAlpha ? [read(4) / 15, read(4) / 15] : [1, 0];
  const longWaves = hasAlpha ? ALPHA_WAVES : 7;
  const [columns, rows] = isLandscape ? [longWaves, shortWaves] : [shortWaves, longWaves];
  const width = Math.round(LONG_SIDE * Math.min(1, columns / rows));
  const height = Math.round(LONG_SIDE * Math.min(1, rows / columns));
  const plane = (mean, scale, across, down) => drawPlane(width, height, mean, readWaves(read, scale, across, down));
  const luma = plane(brightness, brightnessScale, Math.max(CHROMA_WAVES, columns), Math.max(CHROMA_WAVES, rows));
  const yellow = plane(yellowness, yellowScale * SATURATION, CHROMA_WAVES, CHROMA_WAVES);
  const red = plane(redness, redScale * SATURATION, CHROMA_WAVES, CHROMA_WAVES);
  const alpha = hasAlpha ? plane(opacity, opacityScale, ALPHA_WAVES, ALPHA_WAVES) : null;
  const pixels = new Uint8ClampedArray(width * height * 4);
  luma.forEach((level, at) => {
    const b = level - (2 / 3) * yellow[at];
    const r = (3 * level - b + red[at]) / 2;
    pixels.set([r, r - red[at], b, alpha ? alpha[at] : 1].map((share) => share * 255), at * 4);
  });
  return { width, height, pixels };
}

/** Return a function that reads the next bits as a number, the lowest bit of the first byte first. */
function bitReader(bytes) {
  let at = 0;
  return (count) => {
    let number = 0;
    for (let bit = 0; bit < count; bit += 1, at += 1) number |= ((bytes[at >> 3] >> (at & 7)) & 1) << bit;
    return number;
  };
}

function readWaves(read, scale, columns, rows) {
  const waves = [];
  for (let row = 0; row < rows; row += 1)
    for (let column = row ? 0 : 1; column * rows < columns * (rows - row); column += 1)
      waves.push({ column, row, amplitude: 2 * scale * (read(4) / 7.5 - 1) });
  return waves;
}

/** Add up cosine waves around a mean. */
function drawPlane(width, height, mean, waves) {
  const plane = new Float32Array(width * height).fill(mean);
  for (const { column, row, amplitude } of waves) {
    const across = cosines(width, column);
    cosines(height, row).forEach((factor, y) => across.forEach((value, x) => (plane[y * width + x] += amplitude * factor * value)));
  }
  return plane;
}

const cosines = (length, wave) => Array.from({ length }, (_, place) => Math.cos((Math.PI / length) * wave * (place + 0.5)));
