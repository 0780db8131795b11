// The blur that is shown until an image is there: a ThumbHash on a canvas, or a plain colour.

import { decodeThumbhash } from "../client.js";
import { h } from "./dom.js";

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
