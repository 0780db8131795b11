// Uploads in parts (tus 1.0.0): whole, whatever is lost on the way, and one job each.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE, Parts, TASK_ID, accepted, clientOf, lostConnection, problem, skipTime } from "./fake_gateway.mjs";

skipTime();
const CONTENT = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));
const FILE = new Blob([CONTENT]);
const OPTIONS = { resumableBytes: 100, chunkBytes: 300 };

/** Return a fault that answers the `number`th request of a method by `answer`. */
function atRequest(wanted, number, answer) {
  let count = 0;
  return ({ method }) => (method === wanted && ++count === number ? answer() : null);
}

test("a large file is sent in parts, with its name and fields", async () => {
  const parts = new Parts();
  const { darkroom, requests } = clientOf(parts.answer, OPTIONS);
  const shares = [];

  const job = await darkroom.upload(FILE, { filename: "Käse, 7.jpg", format: "webp", onProgress: (share) => shares.push(share) });

  const [upload] = parts.uploads.values();
  assert.deepEqual(upload.bytes, CONTENT);
  assert.deepEqual(upload.fields, { filename: "Käse, 7.jpg", format: "webp" });
  assert.deepEqual(requests.map(({ method }) => method), ["POST", "PATCH", "PATCH", "PATCH", "PATCH"]);
  assert.deepEqual([job.taskId, job.viewToken, job.links.result], [TASK_ID, "view", `${BASE}/result/${TASK_ID}`]);
  assert.deepEqual(shares.slice(0, 2), [0.3, 0.6]);
  assert.equal(shares.at(-1), 1);
});

test("a field that is ignored is named, also when a part is lost", async () => {
  const warnings = [{ pointer: "/colour", rule: "unknown", message: "It is ignored." }];
  const parts = new Parts({ warnings, fault: atRequest("PATCH", 2, lostConnection) });
  const { darkroom } = clientOf(parts.answer, OPTIONS);

  assert.deepEqual((await darkroom.upload(FILE, { colour: "red" })).warnings, warnings);
});

test("a gateway whose answer to the creation has no body warns of nothing", async () => {
  const parts = new Parts();
  const withoutBody = async (request) => {
    const { status, headers } = await parts.answer(request);
    return new Response(null, { status, headers });
  };

  assert.deepEqual((await clientOf(withoutBody, OPTIONS).darkroom.upload(FILE)).warnings, []);
});

test("an upload of a token that has ended begins again if the new token does not see it", async () => {
  const parts = new Parts({ fault: atRequest("PATCH", 3, () => problem(401, "token_expired")) });
  const answer = (request) => {
    const isOther = request.headers.Authorization === "Bearer second" && request.path === "/files/1";
    return isOther ? problem(404, "upload_not_found") : parts.answer(request);
  };
  const { darkroom } = clientOf(answer, { ...OPTIONS, token: (refused) => (refused ? "second" : "first") });

  await darkroom.upload(FILE);

  assert.deepEqual(parts.uploads.get("/files/2").bytes, CONTENT);
  assert.equal(parts.jobs, 1);
});

test("a small file, and an operation without a file, are sent as forms", async () => {
  const { darkroom, requests } = clientOf(() => accepted(), OPTIONS);

  await darkroom.upload(new Blob(["small"]));
  await darkroom.upload(null, { operation: "grayscale", source_task_id: TASK_ID });

  assert.deepEqual(requests.map(({ path }) => path), ["/upload", "/grayscale"]);
});

test("an operation on a large file is named among its fields", async () => {
  const parts = new Parts();
  const { darkroom } = clientOf(parts.answer, OPTIONS);

  await darkroom.upload(FILE, { operation: "crop", aspect: "16:9", filename: "a.jpg" });

  const [{ fields }] = parts.uploads.values();
  assert.deepEqual(fields, { filename: "a.jpg", operation: "crop", aspect: "16:9" });
});

for (const number of [1, 2, 4])
  test(`a part that is lost on its way (${number}) is sent again`, async () => {
    const parts = new Parts({ fault: atRequest("PATCH", number, lostConnection) });
    const { darkroom } = clientOf(parts.answer, OPTIONS);

    await darkroom.upload(FILE);

    assert.deepEqual([...parts.uploads.values()].map(({ bytes }) => bytes), [CONTENT]);
    assert.equal(parts.jobs, 1);
  });

for (const number of [1, 4])
  test(`a part whose answer is lost (${number}) makes no second job`, async () => {
    const parts = new Parts({ lose: atRequest("PATCH", number, () => true) });
    const { darkroom } = clientOf(parts.answer, OPTIONS);

    const job = await darkroom.upload(FILE);

    assert.equal(job.taskId, TASK_ID);
    assert.deepEqual([...parts.uploads.values()].map(({ bytes }) => bytes), [CONTENT]);
    assert.equal(parts.jobs, 1);
  });

test("an offset that the gateway does not expect is asked for", async () => {
  const parts = new Parts({ fault: atRequest("PATCH", 2, () => problem(409, "offset_mismatch")) });
  const { darkroom, requests } = clientOf(parts.answer, OPTIONS);

  await darkroom.upload(FILE);

  assert.ok(requests.some(({ method }) => method === "HEAD"));
  assert.equal(parts.jobs, 1);
});

for (const place of ["https://other.example/files/1", "//other.example/files/1", "HTTPS://other.example/files/1", "http://photos.example/api/files/1"])
  test(`neither token nor bytes follow an upload to ${place}`, async () => {
    const answer = (_, count) => (count > 9 ? lostConnection() : new Response(null, { status: 201, headers: { Location: place } }));
    const { darkroom, requests } = clientOf(answer, { ...OPTIONS, token: "secret", retrySeconds: 0 });

    await assert.rejects(darkroom.upload(FILE), { status: 421, code: "foreign_address" });

    assert.deepEqual(requests.map(({ path }) => path), ["/files"]);
  });

for (const offset of ["1000", "0", "many"])
  test(`a last part whose answer has no Task-ID, but the offset ${offset}, is not sent for ever`, async () => {
    const answers = { POST: () => [201, { Location: "/api/files/1" }], PATCH: () => [204, { "Upload-Offset": offset }] };
    const { darkroom, requests } = clientOf(({ method }, count) => {
      if (count > 9) throw new Error("The client does not end.");
      const [status, headers] = answers[method]();
      return new Response(null, { status, headers });
    }, { ...OPTIONS, retrySeconds: 0 });

    await assert.rejects(darkroom.upload(FILE), { status: 204, code: "no_task_id" });

    assert.equal(requests.length, 2);
  });

test("an offset that is no number is taken for the beginning", async () => {
  const parts = new Parts({ fault: atRequest("HEAD", 1, () => new Response(null, { headers: { "Upload-Offset": "many" } })) });
  const { darkroom } = clientOf(parts.answer, { ...OPTIONS, retrySeconds: 0 });
  parts.uploads.set("/files/1", { length: CONTENT.length, bytes: Buffer.alloc(0), fields: {}, lastOffset: null });

  await darkroom.upload(FILE, { resumeFrom: `${BASE}/files/1` });

  assert.deepEqual([...parts.uploads.values()].map(({ bytes }) => bytes), [CONTENT]);
});

test("an upload that has expired begins again", async () => {
  const parts = new Parts();
  const { darkroom } = clientOf(parts.answer, OPTIONS);

  await darkroom.upload(FILE, { resumeFrom: `${BASE}/files/7` });

  assert.deepEqual([...parts.uploads.values()].map(({ bytes }) => bytes), [CONTENT]);
});

test("an upload that was interrupted goes on where it was", async () => {
  const parts = new Parts({ fault: atRequest("PATCH", 3, lostConnection) });
  const first = clientOf(parts.answer, { ...OPTIONS, retrySeconds: 0 });
  let address = null;
  await assert.rejects(first.darkroom.upload(FILE, { onResumable: (known) => (address = known) }), { code: "unreachable" });
  const second = clientOf(parts.answer, OPTIONS);

  await second.darkroom.upload(FILE, { resumeFrom: address });

  assert.deepEqual(second.requests.map(({ method, headers }) => headers["Upload-Offset"] ?? method), ["HEAD", "600", "900"]);
  assert.deepEqual([...parts.uploads.values()].map(({ bytes }) => bytes), [CONTENT]);
});

test("a gateway without the route gets a form, and is not asked again", async () => {
  const { darkroom, requests } = clientOf(({ path }) => (path === "/files" ? problem(404, "not_found") : accepted()), OPTIONS);

  await darkroom.upload(FILE);
  await darkroom.upload(FILE);

  assert.deepEqual(requests.map(({ path }) => path), ["/files", "/upload", "/upload"]);
});

test("parts that never arrive end the upload", async () => {
  const parts = new Parts({ fault: ({ method }) => (method === "PATCH" ? lostConnection() : null) });
  const { darkroom } = clientOf(parts.answer, { ...OPTIONS, retrySeconds: 0.01 });

  await assert.rejects(darkroom.upload(FILE), { code: "unreachable" });
});

test("a refusal of the file is final", async () => {
  const { darkroom, requests } = clientOf(() => problem(413, "upload_too_large"), OPTIONS);

  await assert.rejects(darkroom.upload(FILE), { status: 413, code: "upload_too_large" });

  assert.equal(requests.length, 1);
});

for (const isKept of [false, true])
  test(`an aborted upload is ${isKept ? "kept where it can be resumed" : "discarded"}`, async () => {
    const controller = new AbortController();
    const parts = new Parts({ fault: atRequest("PATCH", 2, () => (controller.abort(), lostConnection())) });
    const { darkroom } = clientOf(parts.answer, OPTIONS);
    const onResumable = isKept ? () => {} : undefined;

    await assert.rejects(darkroom.upload(FILE, { signal: controller.signal, onResumable }));
    await new Promise((resolve) => setImmediate(resolve));

    assert.deepEqual([parts.uploads.size, parts.jobs], [isKept ? 1 : 0, 0]);
  });
