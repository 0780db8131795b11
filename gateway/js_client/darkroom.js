// The client of a Darkroom gateway, for browsers and Node 18 or newer. One file, without dependencies; darkroom.d.ts has the types.
//
//   const darkroom = new Darkroom("https://photos.example/api", { token });
//   const job = await darkroom.wait(await darkroom.upload(file, { onProgress }));
//   document.body.append(darkroom.picture(job, { alt: "The garden" }));

export const END_STATUSES = new Set(["done", "failed", "dead", "cancelled"]);
const TRANSIENT_STATUSES = new Set([0, 408, 423, 425, 429, 502, 503, 504]);
const BUSY_STATUSES = new Set([429, 503]); // the gateway has not acted on the request
const MISDIRECTED = 421; // the request is not sent
const KEY_IN_USE = "idempotency_key_in_use"; // an earlier attempt is still being received, or its gateway died
const UNREADABLE = "job_unreadable"; // a newer version has stored the job: waiting does not help
const MAX_RENEWALS = 5; // of the token, for one request
const LONGEST_PAUSE_SECONDS = 15;
const MIB = 2 ** 20;
const NO_TASK_ID = "The last part is sent, but its answer has no Task-ID. A proxy must pass this header on, and expose it to pages of other origins.";
const GONE = [404, 410];
const TUS = { "Tus-Resumable": "1.0.0" };

/** An error answer (RFC 9457), a request without an answer (`status` 0), or a job without results (it has `job`). */
export class DarkroomError extends Error {
  name = "DarkroomError";

  constructor({ status = 0, code = "unreachable", detail = "", errors = [], request_id: requestId = null } = {}, retryAfter = null) {
    super(detail || code);
    Object.assign(this, { status, code, detail, errors, requestId, retryAfter });
  }

  /** Whether the same request can succeed later. */
  get isTransient() {
    return (TRANSIENT_STATUSES.has(this.status) && this.code !== UNREADABLE) || this.code === KEY_IN_USE;
  }
}

/** A client of one gateway. All its methods take an AbortSignal, and throw DarkroomErrors. */
export class Darkroom {
  #base;
  #token;
  #fetch;
  #retrySeconds;
  #resumableBytes;
  #chunkBytes;
  #knownToken = null; // the promise of what the function `token` returned last
  #viewTokens = new Map(); // by task id
  #canStream = true;
  #canResume = true;

  constructor(url, { token = null, key = null, fetch = (...request) => globalThis.fetch(...request), retrySeconds = 60, resumableBytes = 5 * MIB, chunkBytes = 4 * MIB } = {}) {
    const { origin, pathname } = new URL(url, globalThis.document?.baseURI);
    this.#base = { origin, path: pathname.replace(/\/+$/, "") };
    this.#token = token ?? key;
    this.#fetch = fetch;
    this.#retrySeconds = retrySeconds;
    this.#resumableBytes = resumableBytes;
    this.#chunkBytes = chunkBytes;
  }

  /** Return the whole address of a route, or of a link in an answer, which may begin with the gateway's own path. */
  address(path) {
    const { origin, path: base } = this.#base;
    if (/^https?:/i.test(path)) return path;
    if (!path.startsWith("/")) return this.address(`/${path}`); // behind an origin, `@other.example` would be a host
    return origin + (path.startsWith(`${base}/`) ? path : base + path);
  }

  /** Upload a file, and return the accepted job. Other options are fields of the form, such as `format` and `quality`. */
  async upload(file, { operation = "upload", filename, idempotencyKey = newKey(), resumeFrom, onResumable, onProgress, signal, ...fields } = {}) {
    if (file === undefined) throw new TypeError("There is no file. Send null for an operation on the image of an earlier job.");
    const blob = file === null || file instanceof Blob ? file : new Blob([file]);
    const sent = { blob, name: filename ?? (file?.name || "photo"), fields: formFields(fields), operation, idempotencyKey, resumeFrom, onResumable, onProgress, signal };
    const isLarge = blob && (resumeFrom || blob.size > this.#resumableBytes);
    const accepted = (isLarge && this.#canResume && (await this.#uploadParts(sent))) || (await this.#uploadForm(sent));
    onProgress?.(1);
    if (accepted.view_token) this.#viewTokens.set(accepted.task_id, accepted.view_token);
    return {
      taskId: accepted.task_id,
      links: { status: this.address(accepted.links.status), result: this.address(accepted.links.result) },
      viewToken: accepted.view_token ?? null,
      deduplicatedFrom: accepted.deduplicated_from ?? null,
      warnings: accepted.warnings ?? [],
    };
  }

  /** Have the gateway fetch an image from an address, and return the accepted job. It needs an API key, not a token. */
  uploadFrom(url, options = {}) {
    return this.upload(null, { ...options, source_url: String(url) });
  }

  /** Yield the job now and at every change, until it has ended. Survives lost connections, and proxies that block streams. */
  async *follow(job, { signal } = {}) {
    const state = { taskId: this.#taskIdOf(job), signal, lastId: null, etag: null, retryMs: 2000, isBlocked: false, hasEnded: false };
    for (let failures = 0; ; ) {
      let pauseMs = 0;
      try {
        if (this.#canStream && !state.isBlocked && failures < MAX_STREAM_FAILURES) {
          yield* this.#stream(state);
          if (!state.hasEnded && !state.lastId) yield* this.#poll(state); // the stream was empty: an answer says why
          failures = 0;
          pauseMs = state.retryMs;
        } else {
          yield* this.#poll(state);
          pauseMs = state.etag ? 0 : state.retryMs;
        }
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (isFinal(error)) throw error;
        if (error instanceof StreamBlocked) state.isBlocked = true;
        pauseMs = Math.min(250 * 2 ** failures++, 4000);
      }
      if (state.hasEnded) return;
      await pause(pauseMs, signal);
    }
  }

  /** Wait until the job has ended, and return it. Throws a DarkroomError with `job` if it has no results. */
  async wait(job, { signal } = {}) {
    let last = null;
    for await (const state of this.follow(job, { signal })) last = state;
    if (last.status === "done") return last;
    const { code = last.status, message: detail, errors } = last.failure ?? {};
    throw Object.assign(new DarkroomError({ status: 200, code, detail, errors }), { job: last });
  }

  /** Return the job as it is now. */
  async status(job, { signal } = {}) {
    return (await this.request(`/task-status/${this.#taskIdOf(job)}`, { taskId: this.#taskIdOf(job), signal })).json();
  }

  /** Return the bytes of a rendition, or of the main result. */
  async result(job, rendition = null, { signal } = {}) {
    const taskId = this.#taskIdOf(job);
    const path = rendition === null ? `/result/${taskId}` : `/result/${taskId}/${encodeURIComponent(rendition)}`;
    return (await this.request(path, { taskId, signal, cache: "default" })).blob();
  }

  /** Cancel a job that has not ended, or remove one that has. */
  async remove(job, { signal } = {}) {
    await this.request(`/jobs/${this.#taskIdOf(job)}`, { method: "DELETE", signal });
  }

  /** Return what the gateway accepts and produces. */
  async capabilities({ signal } = {}) {
    return (await this.request("/capabilities", { signal })).json();
  }

  /** Build an image element of a job, or a picture element if it has several formats. The browser chooses the file, and shows the placeholder until it is loaded. */
  picture(job, options) {
    const { placeholder, color, sources, src, ...attributes } = this.pictureAttributes(job, options);
    const image = document.createElement("img");
    const picture = document.createElement("picture");
    picture.append(...sources.map((source) => withAttributes(document.createElement("source"), source)), image);
    if (placeholder) image.style.background = `center / 100% 100% no-repeat url("${placeholder}")`;
    if (color) image.style.backgroundColor = color;
    image.addEventListener("load", () => image.style.removeProperty("background"), { once: true });
    withAttributes(image, { ...attributes, src }); // `src` last: it starts the download
    return sources.length ? picture : image;
  }

  /** Return the attributes of an image element and of its sources, and its placeholder as a data URL. Needs no document. */
  pictureAttributes(job, { rendition = null, sizes, alt = "" } = {}) {
    const { shown, formats, isOneSize } = filesOfPicture(job, rendition);
    const [width, height] = ["width", "height"].map((side) => (shown ? Math.round(shown[side] / (shown.dpr ?? 1)) : (job.original[side] ?? undefined)));
    const address = ({ url }) => this.#signed(this.address(url), job.task_id);
    const srcset = (files) => files.map((file) => `${address(file)} ${file.width}w`).join(", ");
    const last = formats.pop() ?? [];
    const chosen = sizes ?? (isOneSize ? `${width}px` : undefined);
    return {
      sources: formats.map((files) => ({ type: files[0].media_type, srcset: srcset(files), sizes: chosen })),
      src: shown && address(shown),
      srcset: last.length > 1 ? srcset(last) : undefined,
      sizes: chosen,
      alt,
      width,
      height,
      placeholder: thumbhashUrl(job.placeholder?.thumbhash),
      color: job.placeholder?.color,
    };
  }

  /** Remove an upload in parts that was interrupted and is not resumed. */
  async discard(address) {
    await this.#sendTus("DELETE", address, { keepalive: true });
  }

  /** Ask the function `token` again at the next request, for example because another user has logged in. */
  forgetToken() {
    this.#knownToken = null;
  }

  /**
   * Send a request to a route or an address, and return the answer (2xx or 304). `taskId`: use the view token of this job;
   * `onSent`: called with the bytes sent. Throws a DarkroomError for other answers.
   */
  async request(path, { taskId = null, headers = {}, ...options } = {}) {
    const isRepeatable = ["GET", "HEAD"].includes(options.method ?? "GET") || "Idempotency-Key" in headers;
    const canRepeat = ({ isTransient, status }) => isTransient && (isRepeatable || BUSY_STATUSES.has(status));
    const send = () => this.#authorized(path, taskId, (url, who) => this.#fetchOnce(url, { ...options, headers: { ...who, ...headers } }), options.signal);
    return this.#retry(send, { canRepeat, signal: options.signal });
  }

  #taskIdOf(job) {
    if (typeof job === "string") return job;
    const taskId = job.taskId ?? job.task_id;
    if (job.viewToken) this.#viewTokens.set(taskId, job.viewToken); // the handle may be of an earlier visit
    return taskId;
  }

  #signed(url, taskId) {
    const viewToken = this.#isOwn(url) && this.#viewTokens.get(taskId);
    return viewToken ? `${url}${url.includes("?") ? "&" : "?"}token=${encodeURIComponent(viewToken)}` : url;
  }

  /** Whether an address is of the gateway's origin. Others get no token, whatever an answer says. */
  #isOwn(url) {
    return new URL(url).origin === this.#base.origin;
  }

  /** Call `send` with an address and headers that are authorized; again with another token if this one is refused. */
  async #authorized(path, taskId, send, signal) {
    const url = this.address(path);
    if (!this.#isOwn(url)) throw new DarkroomError({ status: MISDIRECTED, code: "foreign_address", detail: `${url} is not at ${this.#base.origin}.` });
    if (this.#viewTokens.has(taskId)) {
      try {
        return await send(this.#signed(url, taskId), {});
      } catch (error) {
        if (error.status !== 401 || this.#token === null) throw error;
        this.#viewTokens.delete(taskId);
      }
    }
    let token = await this.#currentToken();
    for (let renewals = 0; ; renewals += 1) {
      try {
        return await send(url, token === null ? {} : { Authorization: `Bearer ${token}` });
      } catch (error) {
        if (!refusesToken(error) || signal?.aborted || renewals === MAX_RENEWALS) throw error;
        const renewed = await this.#currentToken(token);
        if (renewed === null || renewed === token) throw error;
        token = renewed;
      }
    }
  }

  /** Return the token, or one that replaces `refused`; null if there is none. */
  async #currentToken(refused) {
    if (typeof this.#token !== "function") return this.#token;
    const known = this.#knownToken;
    if (refused !== undefined && known && (await known) === refused && this.#knownToken === known) this.#knownToken = null;
    this.#knownToken ??= Promise.resolve(this.#token(refused)).then((token) => token ?? null);
    const asked = this.#knownToken;
    try {
      return await asked;
    } catch (error) {
      if (this.#knownToken === asked) this.#knownToken = null;
      throw error;
    }
  }

  async #fetchOnce(url, { onSent, ...options }) {
    const send = onSent && globalThis.XMLHttpRequest ? fetchWithProgress : this.#fetch;
    let answer;
    try {
      answer = await send(url, { cache: "no-store", ...options, ...(send === fetchWithProgress && { onSent }) });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new DarkroomError({ detail: error.message });
    }
    if (answer.ok || answer.status === 304) return answer;
    throw parseError(answer.status, await answer.text().catch(() => ""), answer.headers.get("Retry-After"));
  }

  /** Call `send` until it succeeds, for at most `retrySeconds` since the first failure. */
  async #retry(send, { canRepeat, signal }) {
    let since = null;
    for (let failures = 1; ; failures += 1) {
      try {
        return await send();
      } catch (error) {
        since ??= Date.now();
        const pauseMs = retryPauseMs(failures, error.retryAfter);
        const isTooLate = Date.now() + pauseMs - since >= this.#retrySeconds * 1000;
        if (isTooLate || !(error instanceof DarkroomError) || !canRepeat(error)) throw error;
        await pause(pauseMs, signal);
      }
    }
  }

  async #uploadForm({ blob, name, fields, operation, idempotencyKey, onProgress, signal }) {
    const form = new FormData();
    for (const [field, value] of fields) form.append(field, value);
    if (blob) form.append("file", blob, name);
    const onSent = onProgress && ((bytes, total) => onProgress(total ? bytes / total : 0));
    const options = { method: "POST", headers: { "Idempotency-Key": idempotencyKey }, body: form, onSent, signal };
    return (await this.request(`/${operation}`, options)).json();
  }

  /** Upload in parts (tus 1.0.0) that can be sent again. Return the accepted job; null if the gateway has no such route. */
  async #uploadParts(sent) {
    const upload = { ...sent, url: sent.resumeFrom ?? null, offset: null, lastOffset: null };
    const canRepeat = ({ isTransient, status }) => isTransient || status === 409 || (upload.url && GONE.includes(status)); // asks for the offset first
    try {
      for (let before = NaN; ; before = upload.offset) {
        try {
          return await this.#retry(() => this.#sendParts(upload), { canRepeat, signal: sent.signal });
        } catch (error) {
          if (!error.isTransient || upload.offset === before || !this.#retrySeconds) throw error;
        }
      }
    } catch (error) {
      if (!upload.url && [404, 405].includes(error.status)) {
        this.#canResume = false;
        return null;
      }
      if (sent.signal?.aborted && upload.url && !sent.onResumable) this.discard(upload.url).catch(() => {}); // it expires
      throw error;
    }
  }

  async #sendParts(upload) {
    let answer = null;
    if (!upload.url) await this.#createUpload(upload);
    else answer = await this.#findOffset(upload);
    while (!answer?.headers.get("Task-ID")) {
      if (upload.offset >= upload.blob.size && upload.lastOffset !== null) upload.offset = upload.lastOffset; // the last answer was lost
      const before = upload.offset;
      answer = await this.#sendPart(upload);
      const goesOn = upload.offset > before && upload.offset < upload.blob.size;
      if (!goesOn && !answer.headers.get("Task-ID")) throw new DarkroomError({ status: answer.status, code: "no_task_id", detail: NO_TASK_ID });
    }
    return { ...acceptedByHeaders(answer.headers), warnings: upload.warnings };
  }

  async #createUpload(upload) {
    const { blob, name, operation, fields } = upload;
    const form = [["filename", name], ...(operation === "upload" ? [] : [["operation", operation]]), ...fields];
    const metadata = form.map(([field, value]) => `${field} ${encodeBase64(value)}`).join(",");
    const headers = { "Upload-Length": String(blob.size), "Upload-Metadata": metadata };
    const answer = await this.#sendTus("POST", this.address("/files"), { headers, signal: upload.signal });
    upload.url = new URL(answer.headers.get("Location"), this.address("/files")).href;
    upload.warnings = (await answer.json().catch(() => null))?.warnings; // an older gateway sends no body
    upload.offset = 0;
    upload.onResumable?.(upload.url);
  }

  async #findOffset(upload) {
    try {
      const answer = await this.#sendTus("HEAD", upload.url, { signal: upload.signal });
      upload.offset = Number(answer.headers.get("Upload-Offset")) || 0; // Node ends if a Blob is sliced at NaN
      return answer;
    } catch (error) {
      if (!GONE.includes(error.status)) throw error;
      upload.lastOffset = null; // the upload has expired, or was another token's: begin again
      return this.#createUpload(upload);
    }
  }

  async #sendPart(upload) {
    const { blob, url, offset, onProgress, signal } = upload;
    const body = blob.slice(offset, offset + this.#chunkBytes);
    const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
    const onSent = onProgress && ((bytes) => onProgress((offset + bytes) / blob.size));
    upload.lastOffset = offset;
    const answer = await this.#sendTus("PATCH", url, { headers, body, onSent, signal });
    upload.offset = Number(answer.headers.get("Upload-Offset") ?? offset + body.size);
    onProgress?.(upload.offset / blob.size);
    return answer;
  }

  #sendTus(method, address, { headers, ...options } = {}) {
    const send = (url, who) => this.#fetchOnce(url, { method, headers: { ...TUS, ...who, ...headers }, ...options });
    return this.#authorized(address, null, send, options.signal);
  }

  async *#stream(state) {
    const silence = linkedController(state.signal);
    let timer = 0;
    let hasBytes = false;
    const restartTimer = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), ms);
    };
    const onBytes = () => {
      hasBytes = true;
      restartTimer(SILENCE_MS);
    };
    const send = (url, who) => {
      restartTimer(FIRST_BYTES_MS);
      const headers = { Accept: "text/event-stream", ...(state.lastId && { "Last-Event-ID": state.lastId }), ...who };
      return this.#fetchOnce(url, { headers, signal: silence.signal }).catch((error) => {
        clearTimeout(timer); // asking for another token may take long
        throw error;
      });
    };
    try {
      const answer = await this.#authorized(`/task-status/${state.taskId}/events`, state.taskId, send, state.signal);
      if (answer.status === 204) state.hasEnded = true;
      else if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new StreamBlocked();
      else yield* jobsOf(parseEvents(answer.body, onBytes), state);
    } catch (error) {
      if (silence.signal.aborted && !hasBytes && !state.signal?.aborted) throw new StreamBlocked();
      if ([404, 405, 406].includes(error.status) && error.code !== "job_not_found") throw new StreamBlocked();
      throw error;
    } finally {
      clearTimeout(timer);
      silence.abort();
      silence.unlink();
    }
  }

  async *#poll(state) {
    const { taskId, signal, etag, isBlocked } = state;
    const before = Date.now();
    const path = `/task-status/${taskId}${etag ? `?wait=${WAIT_SECONDS}` : ""}`;
    const send = (url, who) => this.#fetchOnce(url, { headers: { ...who, ...(etag && { "If-None-Match": etag }) }, signal });
    const answer = await this.#authorized(path, taskId, send, signal);
    state.etag = answer.headers.get("ETag");
    if (isBlocked && !etag && Date.now() - before < FIRST_BYTES_MS) this.#canStream = false; // the gateway answers, so a proxy is the cause
    if (answer.status !== 304) yield endOrNot(state, await answer.json());
  }
}

const FIRST_BYTES_MS = 5000; // the gateway sends the first event at once: a proxy that buffers it also buffers the others
const SILENCE_MS = 40_000; // more than two heartbeats
const MAX_STREAM_FAILURES = 3; // in a row, before polls replace the stream
const WAIT_SECONDS = 10;

/** The stream does not come through; polls may. */
class StreamBlocked extends Error {}

const refusesToken = ({ status, code }) => status === 401 || code === "token_used_up";
const isFinal = (error) => error instanceof DarkroomError && !error.isTransient && (error.status < 500 || error.code === UNREADABLE);

async function* jobsOf(events, state) {
  for await (const event of events) {
    state.lastId = event.id ?? state.lastId;
    state.retryMs = event.retry ?? state.retryMs;
    if (event.type !== "job") continue;
    yield endOrNot(state, JSON.parse(event.text));
    if (state.hasEnded) return;
  }
}

function endOrNot(state, job) {
  state.hasEnded = END_STATUSES.has(job.status);
  return job;
}

/** Parse a problem document. If the text is not one, the error has the code `http_<status>`. */
function parseError(status, text, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // The answer of a proxy, or an empty one.
  }
  return new DarkroomError({ code: `http_${status}`, ...problem, status }, parseRetryAfter(retryAfter));
}

/** Parse Retry-After (seconds or a date) to seconds; null if it is missing or neither. */
export function parseRetryAfter(header) {
  if (!header) return null;
  const wait = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(wait) ? null : Math.max(0, wait);
}

/** Return what the gateway asked for and a little more, or else an exponential backoff; both random, so that clients do not retry together. */
function retryPauseMs(failures, retryAfter) {
  if (retryAfter) return retryAfter * 1000 * (1 + Math.random() / 4);
  return Math.min(LONGEST_PAUSE_SECONDS, 2 ** (failures - 2)) * 1000 * (1 - Math.random() / 2);
}

/** Resolve after `ms`; reject when the signal aborts. */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", stop), resolve()), ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Return a controller that also aborts with `signal`, until `unlink` is called. AbortSignal.any is younger than Safari 17.4. */
function linkedController(signal) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  return Object.assign(controller, { unlink: () => signal?.removeEventListener("abort", stop) });
}

/** Return a random idempotency key. crypto.randomUUID exists on https and localhost only, and Node 18 has no crypto. */
export function newKey() {
  const bytes = globalThis.crypto?.getRandomValues(new Uint8Array(16)) ?? Array.from({ length: 16 }, () => Math.random() * 256);
  return Array.from(bytes, (byte) => Math.floor(byte).toString(16).padStart(2, "0")).join("");
}

const formFields = (fields) =>
  Object.entries(fields)
    .filter(([, value]) => value != null)
    .map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);

const encodeBase64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Fetch with XMLHttpRequest, because fetch reports no upload progress. */
function fetchWithProgress(url, { method, headers, body, signal, onSent }) {
  const request = new XMLHttpRequest();
  request.open(method, url);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => request.abort();
    signal?.addEventListener("abort", stop, { once: true });
    request.upload.onprogress = ({ loaded, total }) => onSent(loaded, total);
    request.onerror = () => reject(new TypeError("The request got no answer."));
    request.onabort = () => reject(signal.reason);
    request.onload = () => {
      const { status, responseText } = request;
      resolve(new Response(status === 204 ? null : responseText, { status, headers: headersOf(request) }));
    };
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    request.send(body);
  });
}

function headersOf(request) {
  const lines = request.getAllResponseHeaders().trim().split("\r\n").filter(Boolean);
  return lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
}

/** Read the accepted job from the headers of the answer that completes an upload in parts. */
function acceptedByHeaders(headers) {
  const links = {};
  for (const [, url, rel] of (headers.get("Link") ?? "").matchAll(/<([^>]*)>\s*;\s*rel="?([\w-]+)/g)) links[rel] = url;
  const taskId = headers.get("Task-ID");
  return { task_id: taskId, links: { status: `/task-status/${taskId}`, result: `/result/${taskId}`, ...links }, view_token: headers.get("View-Token") };
}

/**
 * Return the file that every browser shows, and the files that a browser may choose between by format, the best format first.
 * Renditions that differ by their size only stand for each other; one of a preset has its own densities (`isOneSize`).
 */
function filesOfPicture(job, rendition) {
  const made = Object.entries(job.renditions).sort(([, one], [, other]) => one.width - other.width);
  const [name, main] = rendition === null ? (made.at(-1) ?? []) : [rendition, job.renditions[rendition]];
  if (!main) return { formats: [] };
  const isPlain = (other) => typeof (job.operation?.renditions?.[other] ?? 0) === "number";
  const copies = isPlain(name) ? made.filter(([other, copy]) => isPlain(other) && isSmallerCopy(copy, main)) : [];
  const shown = filesOf(main).find(({ sha256 }) => sha256 === main.sha256) ?? main;
  const files = [main, ...copies.map(([, copy]) => copy)].flatMap(filesOf).sort((one, other) => one.width - other.width);
  const formats = [...new Set(filesOf(main).map(({ format }) => format))].map((wanted) => files.filter(({ format }) => format === wanted).filter(isNewWidth));
  return { shown, formats, isOneSize: !isPlain(name) };
}

/** Return the files of a rendition. An older gateway has one for each. */
const filesOf = (rendition) => (rendition.variants?.length ? rendition.variants : [rendition]);
const isNewWidth = ({ width }, at, files) => files[at - 1]?.width !== width;

/** Whether `other` shows the same picture as `main`, as small or smaller. */
const isSmallerCopy = (other, main) =>
  other.format === main.format && other.width <= main.width && Math.abs(other.width * main.height - main.width * other.height) <= main.width + main.height;

function withAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) if (value != null) element.setAttribute(name, value);
  return element;
}

const LINE_BREAK = /\r\n|\n|\r(?!$)/; // a CR at the end may be half of a CRLF: wait for the next chunk

/** Yield the server-sent events {type, id, retry, text} of a body; `onBytes` is called for every chunk. EventSource sends no headers. */
export async function* parseEvents(body, onBytes = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = newEvent(null);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const lines = (rest + value).split(LINE_BREAK);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "" && (event.lines.length || event.retry !== null)) yield completeEvent(event);
        if (line === "") event = newEvent(event.id);
        else parseLine(event, line);
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

const newEvent = (id) => ({ type: "message", id, retry: null, lines: [] });
const completeEvent = ({ type, id, retry, lines }) => ({ type, id, retry, text: lines.join("\n") });

function parseLine(event, line) {
  const colon = line.indexOf(":");
  if (colon === 0) return; // comments are heartbeats
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "data") event.lines.push(value);
  else if (field === "event") event.type = value;
  else if (field === "id") event.id = value;
  else if (field === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
}

const LONG_SIDE = 32;
const CHROMA_WAVES = 3;
const ALPHA_WAVES = 5;
const SATURATION = 1.25; // makes up for what rounding takes from the colours

/** Return a ThumbHash in base64 as the data URL of a PNG; null if it is not readable. */
export function thumbhashUrl(thumbhash) {
  try {
    const { width, height, pixels } = decodeThumbhash(Uint8Array.from(atob(thumbhash), (letter) => letter.charCodeAt(0)));
    return `data:image/png;base64,${btoa(String.fromCharCode(...encodePng(width, height, pixels)))}`;
  } catch {
    return null; // there is none, or a hash of another kind
  }
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

/** Encode RGBA pixels as a PNG without compression, at most 64 KiB of them. */
function encodePng(width, height, pixels) {
  const rows = Array.from({ length: height }, (_, row) => [0, ...pixels.slice(row * width * 4, (row + 1) * width * 4)]).flat();
  const stored = [0x78, 1, 1, rows.length & 255, rows.length >> 8, ~rows.length & 255, (~rows.length >> 8) & 255, ...rows, ...bigEndian(adler32(rows))];
  const header = [...bigEndian(width), ...bigEndian(height), 8, 6, 0, 0, 0];
  return [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...pngChunk("IHDR", header), ...pngChunk("IDAT", stored), ...pngChunk("IEND", [])];
}

function pngChunk(type, content) {
  const body = [...type].map((letter) => letter.charCodeAt(0)).concat(content);
  return [...bigEndian(content.length), ...body, ...bigEndian(crc32(body))];
}

const bigEndian = (number) => [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];

function adler32(bytes) {
  let [one, sum] = [1, 0];
  for (const byte of bytes) sum = (sum + (one = (one + byte) % 65521)) % 65521;
  return ((sum << 16) | one) >>> 0;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

/** Return the CRC-32 of bytes, as PNG and zip have it. */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
