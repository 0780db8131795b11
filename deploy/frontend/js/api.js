// The page's client of the API: one function for requests, one class for errors.

import { Signal, h } from "./dom.js";
import { replaceKey } from "./keys.js";
import { getApiKey } from "./browser-storage.js";

export const API = new URL("api", document.baseURI).pathname;

/** Return the address of a route, or of a link in an answer: links begin with API, but not those of an older gateway. */
export const addressOf = (path) => (path.startsWith(`${API}/`) ? path : API + path);

const TRANSIENT_STATUSES = new Set([0, 408, 425, 429, 502, 503, 504]);
const UNANSWERED = new Set([0, 502, 503, 504]);
const UNREADABLE = "job_unreadable"; // a newer version has stored the job: waiting here does not help

/** Emits when a request got no answer, or a 5xx. */
export const requestFailed = new Signal();

/** An error answer (RFC 9457). Without any answer, `status` is 0. */
export class Problem extends Error {
  constructor({ status = 0, code = "unreachable", detail = "", errors = [] } = {}, retryAfter = null) {
    super(detail || code);
    Object.assign(this, { status, code, detail, errors, retryAfter });
  }

  /** Whether the same request can succeed later. */
  get isTransient() {
    return (TRANSIENT_STATUSES.has(this.status) && this.code !== UNREADABLE) || this.isKeyInUse;
  }

  /** Whether an earlier attempt of this request is still being received, or its gateway died. Other requests do not wait. */
  get isKeyInUse() {
    return this.code === "idempotency_key_in_use";
  }

  /** Whether no answer to this request can be the job. */
  get isFinal() {
    return !this.isTransient && (this.status < 500 || this.code === UNREADABLE);
  }

  /** Whether the server, or a store it needs, is away. Other transient problems mean that it is busy. */
  get isUnanswered() {
    return UNANSWERED.has(this.status) && !["overloaded", "storage_full", UNREADABLE].includes(this.code);
  }
}

/** Parse a problem document. If the text is not one, the problem has the code `http_<status>`. */
export function parseProblem(status, text, retryAfter) {
  if (status >= 500) requestFailed.emit();
  let problemDocument = {};
  try {
    problemDocument = JSON.parse(text);
  } catch {
    // The answer of a proxy, or an empty one.
  }
  return new Problem({ code: `http_${status}`, ...problemDocument, status }, parseRetryAfter(retryAfter));
}

/** Parse Retry-After (seconds or a date) to seconds; null if it is missing or neither. */
export function parseRetryAfter(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

/** Return the Authorization header, if a key is known. */
const authorizationHeaders = () => (getApiKey() ? { Authorization: `Bearer ${getApiKey()}` } : {});

/**
 * Call `send` with the authorization headers. If the API rejects the key, or requires one, ask the user for a key and call
 * `send` again. Throws a Problem `unauthorized` only if the user gives none.
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

/** Send a request and return the answer (2xx or 304). Throws a Problem for everything else. */
export function fetchApi(path, { headers = {}, ...options } = {}) {
  return withKey((who) => fetchOnce(path, { cache: "no-store", ...options, headers: { ...who, ...headers } }), options.signal);
}

async function fetchOnce(path, options) {
  let answer;
  try {
    answer = await fetch(addressOf(path), options);
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
 * Show a result in an image and resolve when it is loaded. With an API key the bytes are fetched, because an image element
 * sends no Authorization header. They are also fetched if the image fails, because it gives no reason. Throws a Problem.
 */
export async function showImage(image, path) {
  if (!getApiKey() && (await loadImage(image, addressOf(path)))) return;
  const url = URL.createObjectURL(await (await fetchApi(path, { cache: "default" })).blob());
  const isSeen = await loadImage(image, url);
  URL.revokeObjectURL(url);
  if (!isSeen) throw new Problem({ code: "unseen" });
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
