// Uploads a file with the package, waits and fetches a rendition: node node_client.mjs URL FILE RENDITION. Prints JSON.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Darkroom } from "@darkroom/client";

const [, , url, path, rendition] = process.argv;
const methods = [];
const darkroom = new Darkroom(url, { fetch: (address, options) => (methods.push(options.method ?? "GET"), fetch(address, options)) });
const shares = [];
const statuses = [];

const handle = await darkroom.upload(new Blob([await readFile(path)]), {
  filename: "from node.bmp",
  format: "webp",
  onProgress: (share) => shares.push(share),
});
for await (const { status } of darkroom.follow(handle)) statuses.push(status);
const job = await darkroom.wait(handle);
const bytes = new Uint8Array(await (await darkroom.result(job, rendition)).arrayBuffer());
const { src, width } = darkroom.pictureAttributes(job, { rendition });
const refusal = await darkroom.upload(new Blob(["no pixels"])).catch(({ status, code }) => [status, code]);
await darkroom.remove(handle);
const removed = await darkroom.status(handle).catch(({ status, code }) => [status, code]);
const sha256 = createHash("sha256").update(bytes).digest("hex");
console.log(JSON.stringify({ methods, statuses, shares, name: job.original.name, sha256, job, src, width, refusal, removed }));
