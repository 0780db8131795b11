// The API as this page asks it: one way to ask, one kind of problem.

import { Signal, h } from "./dom.js";
import { replaceKey } from "./keys.js";
import { getApiKey } from "./browser-storage.js";

export const API = new URL("api", document.baseURI).pathname;
const TRANSIENT_STATUSES = new Set([0, 408, 425, 429, 502, 503, 504]);
const UNANSWERED = new Set([0, 502, 503, 504]);

/** Tells that a request was not answered, or that its server had no answer. */
export const requestFailed = new Signal();

/** An answer that is not a success (RFC 9457), or none at all: then its status is 0. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", detail = "", errors = [] } = {}, retryAfter = null) {
    super(detail || code);
    Object.assign(this, { status, code, detail, errors, retryAfter });
  }

  /** Whether the same request may well succeed later. */
  get isTransient() {
    return TRANSIENT_STATUSES.has(this.status) || this.code === "idempotency_key_in_use";
  }

  /** Whether the server did not take up the request: it, or what it needs, is away. Else what passes is that it is busy. */
  get isUnanswered() {
    return UNANSWERED.has(this.status) && this.code !== "overloaded";
  }
}

/** Read a problem from the text of an answer; what is no problem document is told by its status. */
export function parseProblem(status, text, retryAfter) {
  if (status >= 500) requestFailed.emit();
  let problemDocument = {};
  try {
    problemDocument = JSON.parse(text);
  } catch {
    // A proxy's page, or nothing.
  }
  return new Problem({ code: `http_${status}`, ...problemDocument, status }, parseRetryAfter(retryAfter));
}

/** Read Retry-After: seconds, or a date; null where it says neither. */
export function parseRetryAfter(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

/** Headers that say who asks, where a key is known. */
const authorizationHeaders = () => (getApiKey() ? { Authorization: `Bearer ${getApiKey()}` } : {});

/**
 * Run `send` with the headers that say who asks. Where the API wants a key, or another one, a person is asked for it and
 * `send` runs again; a Problem `unauthorized` comes out only when they give none.
 */
export async function withKey(send, signal) {
  for (;;) {
    const sent = getApiKey();
    try {
      return await send(authorizationHeaders());
    } catch (problem) {
      if (problem.code !== "unauthorized" || signal?.aborted || !(await replaceKey(sent))) throw problem;
    }
  }
}

/** Ask, and return the answer (304 is one); everything else is thrown as a Problem. */
export function fetchApi(path, { headers = {}, ...options } = {}) {
  return withKey((who) => fetchOnce(path, { cache: "no-store", ...options, headers: { ...who, ...headers } }), options.signal);
}

async function fetchOnce(path, options) {
  let answer;
  try {
    answer = await fetch(API + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    requestFailed.emit();
    throw new Problem({ detail: error.message });
  }
  if (answer.ok || answer.status === 304) return answer;
  throw parseProblem(answer.status, await answer.text().catch(() => ""), answer.headers.get("Retry-After"));
}

export const fetchJson = async (path, options) => (await fetchApi(path, options)).json();

/**
 * Show a result in an image, and return once it is seen. Where a key is needed its bytes are fetched, as an image sends
 * no header of ours; so they are where the image fails, as it does not say why. Throws a Problem.
 */
export async function showImage(image, path) {
  if (!getApiKey() && (await loadImage(image, API + path))) return;
  const url = URL.createObjectURL(await (await fetchApi(path, { cache: "default" })).blob());
  const isSeen = await loadImage(image, url);
  URL.revokeObjectURL(url);
  if (!isSeen) throw new Problem({ code: "unseen" });
}

/** Give an image that is loaded its own shape, and the ground that shows through where it is transparent. */
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

/** Hand bytes to the browser as a download. */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
