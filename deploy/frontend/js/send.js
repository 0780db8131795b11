// The upload of one photo. It uses XMLHttpRequest, because fetch reports no upload progress.

import { API, Problem, parseProblem, requestFailed, withKey } from "./api.js";

/** Return a random idempotency key. crypto.randomUUID exists on https and localhost only. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Post one form and return the accepted job. `onProgress` is called with a share from 0 to 1. Throws a Problem. */
export function uploadForm({ operation, file, fields, idempotencyKey, signal, onProgress }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  if (file) form.append("file", file, file.name || "photo");
  return withKey((who) => post(operation, form, { "Idempotency-Key": idempotencyKey, ...who }, { signal, onProgress }), signal);
}

function post(operation, form, headers, { signal, onProgress }) {
  const request = new XMLHttpRequest();
  request.open("POST", `${API}/${operation}`);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  return new Promise((resolve, reject) => {
    const stop = () => request.abort();
    signal?.addEventListener("abort", stop, { once: true });
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(total ? loaded / total : 0);
    request.onerror = () => (requestFailed.emit(), reject(new Problem()));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onload = () => {
      const { status, responseText } = request;
      if (status === 202) resolve(JSON.parse(responseText));
      else reject(parseProblem(status, responseText, request.getResponseHeader("Retry-After")));
    };
    request.onloadend = () => signal?.removeEventListener("abort", stop);
    request.send(form);
  });
}
