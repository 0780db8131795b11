// Uploads a file with tus-js-client, over Node's fetch: node tus_upload.cjs BUNDLE URL FILE CHUNK_BYTES DURING_CREATION.
// Prints "half" when half of it has come, then {"taskId", "retries"}.
const { readFileSync } = require("node:fs");
const [, , bundle, url, file, chunkBytes, duringCreation] = process.argv;
const tus = require(bundle);

class FetchRequest {
  constructor(method, address) { Object.assign(this, { method, address, headers: {} }); }
  getMethod() { return this.method; }
  getURL() { return this.address; }
  setHeader(name, value) { this.headers[name] = value; }
  getHeader(name) { return this.headers[name]; }
  setProgressHandler() {}
  async abort() {}
  async send(body) {
    const answer = await fetch(this.address, { method: this.method, headers: this.headers, body });
    const text = await answer.text();
    return { getStatus: () => answer.status, getHeader: (name) => answer.headers.get(name), getBody: () => text };
  }
}

let retries = 0;
let taskId = null;
const content = readFileSync(file);
const upload = new tus.Upload(new Blob([content]), {
  endpoint: `${url}/files`,
  httpStack: { createRequest: (method, address) => new FetchRequest(method, address), getName: () => "fetch" },
  chunkSize: Number(chunkBytes),
  uploadDataDuringCreation: duringCreation === "true",
  metadata: { filename: "photo.bmp", filetype: "image/bmp", format: "png" },
  retryDelays: Array(20).fill(500),
  onShouldRetry: () => { retries += 1; return true; },
  onChunkComplete: (_, sent, total) => { if (sent >= total / 2) console.log("half"); },
  onAfterResponse: (_, answer) => { taskId = answer.getHeader("Task-ID") ?? taskId; },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => console.log(JSON.stringify({ taskId, retries })),
});
upload.start();
