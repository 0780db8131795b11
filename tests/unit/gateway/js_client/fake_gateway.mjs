// A gateway without sockets: routes for uploads as forms and in parts, and for one job.

import { Darkroom } from "../../../../gateway/js_client/darkroom.js";

export const BASE = "https://photos.example/api";
export const TASK_ID = "019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77";
const LINKS = { status: `/api/task-status/${TASK_ID}`, result: `/api/result/${TASK_ID}` };

export const json = (body, { status = 200, headers = {} } = {}) => new Response(JSON.stringify(body), { status, headers });
export const problem = (status, code, headers = {}) => json({ status, code, detail: `This is ${code}.` }, { status, headers });
export const accepted = (more = {}) => json({ task_id: TASK_ID, status: "accepted", links: LINKS, ...more }, { status: 202 });
export const lostConnection = () => Promise.reject(new TypeError("fetch failed"));

/** Run timers at once, and return the list of their times in ms. */
export function skipTime() {
  const pauses = [];
  globalThis.setTimeout = (act, ms) => {
    pauses.push(ms);
    return setImmediate(act);
  };
  globalThis.clearTimeout = (timer) => timer && clearImmediate(timer);
  return pauses;
}

/** Return a client whose requests `answer(request)` answers, and the requests: {method, path, headers, body, signal}. */
export function clientOf(answer, options = {}) {
  const requests = [];
  const fetch = async (url, { method = "GET", headers = {}, body, signal } = {}) => {
    signal?.throwIfAborted();
    const request = { method, path: url.replace(BASE, ""), headers, body, signal };
    requests.push(request);
    return answer(request, requests.length);
  };
  return { darkroom: new Darkroom(BASE, { fetch, ...options }), requests };
}

/** The route /files (tus 1.0.0). `fault(request)` may return another answer, `lose(request)` whether the answer is lost. */
export class Parts {
  uploads = new Map();
  jobs = 0;

  constructor({ fault = () => null, lose = () => false, warnings = [] } = {}) {
    Object.assign(this, { fault, lose, warnings });
  }

  answer = async (request) => {
    const fault = this.fault(request);
    if (fault) return fault;
    const found = await this.#serve(request);
    return this.lose(request) ? lostConnection() : found;
  };

  async #serve({ method, path, headers, body }) {
    if (headers["Tus-Resumable"] !== "1.0.0") return problem(412, "tus_version");
    if (method === "POST") return this.#create(headers);
    const upload = this.uploads.get(path);
    if (!upload) return problem(404, "upload_not_found");
    if (method === "DELETE") return this.#remove(path);
    if (method === "PATCH") return this.#append(upload, headers, body);
    return new Response(null, { headers: { "Upload-Offset": String(upload.bytes.length), "Upload-Length": String(upload.length) } });
  }

  #create(headers) {
    const path = `/files/${this.uploads.size + 1}`;
    const metadata = headers["Upload-Metadata"].split(",").map((pair) => pair.split(" "));
    const fields = Object.fromEntries(metadata.map(([name, value]) => [name, Buffer.from(value, "base64").toString()]));
    this.uploads.set(path, { length: Number(headers["Upload-Length"]), bytes: Buffer.alloc(0), fields, lastOffset: null });
    return json({ warnings: this.warnings }, { status: 201, headers: { Location: `/api${path}` } });
  }

  #remove(path) {
    this.uploads.delete(path);
    return new Response(null, { status: 204 });
  }

  async #append(upload, headers, body) {
    const offset = Number(headers["Upload-Offset"]);
    const isRepeated = upload.bytes.length === upload.length && offset === upload.lastOffset;
    if (!isRepeated && offset !== upload.bytes.length) return problem(409, "offset_mismatch");
    if (!isRepeated) upload.bytes = Buffer.concat([upload.bytes, Buffer.from(await body.arrayBuffer())]);
    upload.lastOffset = offset;
    const isComplete = upload.bytes.length === upload.length;
    if (isComplete && !isRepeated) this.jobs += 1;
    const links = `<${LINKS.status}>; rel="status", <${LINKS.result}>; rel="result"`;
    const job = isComplete ? { "Task-ID": TASK_ID, Link: links, "View-Token": "view" } : {};
    return new Response(null, { status: 204, headers: { "Upload-Offset": String(upload.bytes.length), ...job } });
  }
}
