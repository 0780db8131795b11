// Following a job, and its pictures: by streams or polls, with view tokens.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE, TASK_ID, clientOf, json, problem, skipTime } from "./fake_gateway.mjs";

skipTime();
const job = (status, more = {}) => ({ task_id: TASK_ID, status, failure: null, renditions: {}, ...more });
const event = (id, state) => `id: ${id}\nevent: job\ndata: ${JSON.stringify(state)}\n\n`;
const stream = (...events) => new Response(events.join(""), { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
const isStream = ({ path }) => path.includes("/events");

async function statuses(darkroom, reference = TASK_ID) {
  const seen = [];
  for await (const { status } of darkroom.follow(reference)) seen.push(status);
  return seen;
}

test("a stream that breaks is opened again after the last event", async () => {
  const answers = [stream(event(1, job("accepted")), event(2, job("processing"))), stream(event(3, job("done")))];
  const { darkroom, requests } = clientOf((_, count) => answers[count - 1]);

  assert.deepEqual(await statuses(darkroom), ["accepted", "processing", "done"]);
  assert.deepEqual(requests.map(({ headers }) => headers["Last-Event-ID"]), [undefined, "2"]);
});

test("where streams are blocked, polls tell", async () => {
  const states = [job("processing"), job("done")];
  const page = () => new Response("<p>login", { headers: { "Content-Type": "text/html" } });
  const { darkroom, requests } = clientOf((request) => (isStream(request) ? page() : json(states.shift(), { headers: { ETag: 'W/"1"' } })));

  assert.deepEqual(await statuses(darkroom), ["processing", "done"]);
  assert.deepEqual(requests.map(({ path }) => path.split("?")[1]), [undefined, undefined, "wait=10"]);
});

test("a job that does not exist ends the iteration", async () => {
  const { darkroom, requests } = clientOf(() => problem(404, "job_not_found"));

  await assert.rejects(statuses(darkroom), { status: 404, code: "job_not_found" });
  assert.equal(requests.length, 1);
});

test("a gateway that is away is waited for", async () => {
  const { darkroom } = clientOf((request, count) => (count < 9 ? problem(502, "bad_gateway") : json(job("done"))));

  assert.deepEqual(await statuses(darkroom), ["done"]);
});

test("wait returns a job that is done, and throws why another has no results", async () => {
  const failure = { code: "image_truncated", message: "It is cut.", errors: [] };
  const ends = [stream(event(1, job("done"))), stream(event(1, job("failed", { failure }))), stream(event(1, job("cancelled")))];
  const { darkroom } = clientOf((_, count) => ends[count - 1]);

  assert.equal((await darkroom.wait(TASK_ID)).status, "done");
  const error = await darkroom.wait(TASK_ID).catch((found) => found);
  assert.deepEqual([error.code, error.detail, error.job.status, error.isTransient], ["image_truncated", "It is cut.", "failed", false]);
  await assert.rejects(darkroom.wait(TASK_ID), { code: "cancelled" });
});

test("a job is followed with its view token, without any other, and with the other once it is refused", async () => {
  const handle = { taskId: TASK_ID, viewToken: "a view" };
  const end = stream(event(1, job("done")));
  const asked = clientOf(() => end, { token: "upload token" });
  await statuses(asked.darkroom, handle);
  assert.deepEqual(asked.requests.map(({ path, headers }) => [path.split("?")[1], headers.Authorization]), [["token=a%20view", undefined]]);

  const refusing = clientOf(({ path }) => (path.includes("token=") ? problem(401, "token_expired") : stream(event(1, job("done")))), { token: "other" });
  await statuses(refusing.darkroom, handle);
  assert.deepEqual(refusing.requests.map(({ headers }) => headers.Authorization), [undefined, "Bearer other"]);
});

const made = (name, width, height, format = "jpeg") => ({ url: `/api/result/${TASK_ID}/${name}`, width, height, format });
const DONE = job("done", {
  original: { name: "photo.jpg", width: 4000, height: 3000 },
  placeholder: { thumbhash: "WOcJHYwwl2Vgd4dyiFiZhkCaGPTZ", color: "#7f6a52" },
  renditions: { large: made("large", 1600, 1200), small: made("small", 160, 120), square: made("square", 640, 640), avif: made("avif", 640, 480, "avif") },
});

test("a picture offers the smaller copies of itself, no other cut and no other format", () => {
  const { darkroom } = clientOf(() => null);

  const found = darkroom.pictureAttributes(DONE, { sizes: "50vw", alt: "A garden" });

  const of = (name) => `${BASE}/result/${TASK_ID}/${name}`;
  assert.deepEqual([found.src, found.srcset], [of("large"), `${of("small")} 160w, ${of("large")} 1600w`]);
  assert.deepEqual([found.width, found.height, found.sizes, found.alt, found.color], [1600, 1200, "50vw", "A garden", "#7f6a52"]);
  assert.match(found.placeholder, /^data:image\/png;base64,iVBORw0KGgo/);
  const square = darkroom.pictureAttributes(DONE, { rendition: "square" });
  assert.deepEqual([square.src, square.srcset, square.width, square.height], [of("square"), undefined, 640, 640]);
});

const variant = (format, dpr, width, height) => ({ url: `/api/result/${TASK_ID}/card@${dpr}x.${format}?v=1`, media_type: `image/${format}`, format, dpr, width, height, sha256: `${format}${width}` });
const card = (sizes) => {
  const variants = ["avif", "webp", "jpeg"].flatMap((format) => sizes.map(([dpr, width]) => variant(format, dpr, width, width / 2)));
  return { ...variants.find(({ format }) => format === "jpeg"), url: `/api/result/${TASK_ID}/card`, variants };
};
const PRESET = { ...DONE, operation: { renditions: { card: { width: 400 }, grey: { width: 800 } } } };

test("a rendition of a preset is offered in its formats and densities, and at its own size", () => {
  const { darkroom } = clientOf(() => null);
  const job = { ...PRESET, renditions: { card: card([[1, 400], [2, 800]]), grey: made("grey", 800, 400) } };
  const of = (format, dpr) => `${BASE}/result/${TASK_ID}/card@${dpr}x.${format}?v=1`;
  const srcset = (format) => `${of(format, 1)} 400w, ${of(format, 2)} 800w`;

  const found = darkroom.pictureAttributes(job, { rendition: "card" });

  assert.deepEqual(found.sources, ["avif", "webp"].map((format) => ({ type: `image/${format}`, srcset: srcset(format), sizes: "400px" })));
  assert.deepEqual([found.src, found.srcset, found.sizes], [of("jpeg", 1), srcset("jpeg"), "400px"]);
  assert.deepEqual([found.width, found.height], [400, 200]);
  assert.equal(darkroom.pictureAttributes(job, { rendition: "grey" }).srcset, undefined); // not the card, though it has the same shape
  assert.equal(darkroom.pictureAttributes(job, { rendition: "card", sizes: "50vw" }).sources[1].sizes, "50vw");
});

test("a density without more pixels is offered once, and a picture of density 2 is half as wide as its file", () => {
  const { darkroom } = clientOf(() => null);
  const of = (...sizes) => darkroom.pictureAttributes({ ...PRESET, renditions: { card: card(sizes) } });

  assert.deepEqual([of([1, 300], [2, 300]).sources[0].srcset.split(",").length, of([1, 300], [2, 300]).srcset], [1, undefined]);
  assert.deepEqual([of([2, 300], [3, 450]).width, of([2, 300], [3, 450]).height], [150, 75]);
});

test("each format has the view token of its job", async () => {
  const { darkroom } = clientOf(() => stream(event(1, { ...PRESET, renditions: { card: card([[1, 400]]) } })));

  const done = await darkroom.wait({ taskId: TASK_ID, viewToken: "view" });

  const { sources, src } = darkroom.pictureAttributes(done);
  assert.deepEqual([...sources.map(({ srcset }) => srcset.split(" ")[0]), src].map((url) => url.split("?")[1]), Array(3).fill("v=1&token=view"));
});

test("the addresses of a picture have the view token of its job", async () => {
  const { darkroom } = clientOf(() => stream(event(1, DONE)));

  const done = await darkroom.wait({ taskId: TASK_ID, viewToken: "view" });

  const { src, srcset } = darkroom.pictureAttributes(done);
  assert.equal(src, `${BASE}/result/${TASK_ID}/large?token=view`);
  assert.equal(srcset.match(/token=view/g).length, 2);
});

test("an address at another origin gets no view token, and a path that is none stays at the gateway", () => {
  const { darkroom } = clientOf(() => null);
  const addressOf = (url) => {
    darkroom.status({ taskId: TASK_ID, viewToken: "view" }).catch(() => {});
    return darkroom.pictureAttributes({ ...DONE, renditions: { large: { ...made("large", 1600, 1200), url } } }).src;
  };

  assert.equal(addressOf("https://cdn.example/large"), "https://cdn.example/large");
  assert.equal(addressOf("https://photos.example.other/large"), "https://photos.example.other/large");
  assert.equal(new URL(addressOf("@other.example/large")).host, "photos.example");
});

test("before there are renditions, a picture has its size and placeholder", () => {
  const { darkroom } = clientOf(() => null);

  const found = darkroom.pictureAttributes({ ...DONE, status: "processing", renditions: {} });

  assert.deepEqual([found.src, found.width, found.height], [undefined, 4000, 3000]);
  assert.ok(found.placeholder);
});
