// The page's client of the API: it asks the user for a key, and shows images.

import { Darkroom, DarkroomError } from "../client.js";
import { Signal, h } from "./dom.js";
import { replaceKey } from "./keys.js";
import { getApiKey, keyChanged } from "./browser-storage.js";

/** Emits when a request got no answer, or a 5xx. */
export const requestFailed = new Signal();

/** The client of the gateway. It makes one attempt: the page itself decides when to try again, and says so. */
export const darkroom = new Darkroom(new URL("api", document.baseURI), { token: findKey, fetch: observedFetch, retrySeconds: 0 });

keyChanged.listen(() => darkroom.forgetToken());

/** Return the key, or another one after the gateway refused `refused` (null: no key); null if the user gives none. */
async function findKey(refused) {
  const isGiven = refused === undefined || (await replaceKey(refused));
  return isGiven ? getApiKey() : null;
}

async function observedFetch(url, options) {
  let answer = null;
  try {
    answer = await fetch(url, options);
    return answer;
  } finally {
    if (answer ? answer.status >= 500 : !options.signal?.aborted) requestFailed.emit();
  }
}

export const fetchJson = async (path, options) => (await darkroom.request(path, options)).json();

/**
 * Show a result in an image and resolve when it is loaded. With an API key the bytes are fetched, because an image element
 * sends no Authorization header. They are also fetched if the image fails, because it gives no reason. Throws a DarkroomError.
 */
export async function showImage(image, path) {
  if (!getApiKey() && (await loadImage(image, darkroom.address(path)))) return;
  const url = URL.createObjectURL(await (await darkroom.request(path, { cache: "default" })).blob());
  const isSeen = await loadImage(image, url);
  URL.revokeObjectURL(url);
  if (!isSeen) throw new DarkroomError({ code: "unseen" });
}

/** Give a loaded image its own aspect ratio, and a background for its transparent parts. */
export function styleLoadedImage(image) {
  image.classList.add("picture");
  image.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
}

function loadImage(image, url) {
  return new Promise((resolve) => {
    image.addEventListener("load", () => (styleLoadedImage(image), resolve(true)), { once: true });
    image.addEventListener("error", () => resolve(false), { once: true });
    image.src = url;
  });
}

/** Save bytes as a download of the browser. */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
