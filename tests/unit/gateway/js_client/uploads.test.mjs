// Uploads as one form: what is sent, when it is sent again, and which token goes with it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BASE, TASK_ID, accepted, clientOf, lostConnection, problem, skipTime } from "./fake_gateway.mjs";

const pauses = skipTime();
const FILE = new Blob(["pixels"], { type: "image/jpeg" });

test("an upload sends its file and fields, and returns the job", async () => {
  const { darkroom, requests } = clientOf(() => accepted({ view_token: "view", warnings: [{ rule: "unknown" }] }));

  const job = await darkroom.upload(FILE, { format: "webp", quality: 70, animated: undefined, metadata: { order: 7 }, filename: "a.jpg" });

  const [{ method, path, headers, body }] = requests;
  assert.deepEqual([method, path], ["POST", "/upload"]);
  assert.match(headers["Idempotency-Key"], /^[0-9a-f]{32}$/);
  assert.equal(body.get("file").name, "a.jpg");
  body.delete("file");
  assert.deepEqual([...body], [["format", "webp"], ["quality", "70"], ["metadata", '{"order":7}']]);
  assert.deepEqual(job, {
    taskId: TASK_ID,
    links: { status: `${BASE}/task-status/${TASK_ID}`, result: `${BASE}/result/${TASK_ID}` },
    viewToken: "view",
    deduplicatedFrom: null,
    warnings: [{ rule: "unknown" }],
  });
});

test("an address is sent instead of a file", async () => {
  const { darkroom, requests } = clientOf(() => accepted());

  const job = await darkroom.uploadFrom(new URL("https://photos.example/a b.jpg?x=1"), { operation: "grayscale", format: "webp" });

  const [{ path, body }] = requests;
  assert.equal(path, "/grayscale");
  assert.deepEqual([...body], [["format", "webp"], ["source_url", "https://photos.example/a%20b.jpg?x=1"]]);
  assert.equal(job.taskId, TASK_ID);
});

test("a lost or refused attempt is repeated with the same key, when the gateway says", async () => {
  const answers = [lostConnection, () => problem(503, "overloaded", { "Retry-After": "3" }), () => problem(409, "idempotency_key_in_use"), accepted];
  const { darkroom, requests } = clientOf((_, count) => answers[count - 1]());
  pauses.length = 0;

  await darkroom.upload(FILE);

  assert.equal(requests.length, 4);
  assert.equal(new Set(requests.map(({ headers }) => headers["Idempotency-Key"])).size, 1);
  assert.ok(pauses[1] >= 3000 && pauses[1] <= 3750, `${pauses}`);
});

test("a refusal is final, and says everything that the gateway says", async () => {
  const body = { status: 422, code: "invalid_request", detail: "No.", errors: [{ pointer: "/quality" }], request_id: "r1" };
  const { darkroom, requests } = clientOf(() => new Response(JSON.stringify(body), { status: 422 }));

  const { status, code, detail, errors, requestId, retryAfter } = await darkroom.upload(FILE).catch((error) => error);

  assert.deepEqual([status, code, detail, errors, requestId, retryAfter], [422, "invalid_request", "No.", [{ pointer: "/quality" }], "r1", null]);
  assert.equal(requests.length, 1);
});

test("an error that is no problem document has its status as its code", async () => {
  const { darkroom } = clientOf(() => new Response("<p>Bad Gateway", { status: 502 }), { retrySeconds: 0 });

  await assert.rejects(darkroom.upload(FILE), { name: "DarkroomError", status: 502, code: "http_502" });
});

test("a removal whose answer is lost is not repeated: the second one would remove a cancelled job", async () => {
  const { darkroom, requests } = clientOf(lostConnection);

  await assert.rejects(darkroom.remove(TASK_ID), { status: 0, code: "unreachable" });

  assert.equal(requests.length, 1);
});

test("one token is asked for, and a new one when the gateway refuses it", async () => {
  const asked = [];
  let valid = "first";
  const isValid = ({ headers }) => headers.Authorization === `Bearer ${valid}`;
  const token = async (refused) => (asked.push(refused), asked.length === 1 ? "first" : "second");
  const { darkroom } = clientOf((request) => (isValid(request) ? accepted() : problem(401, "token_expired")), { token });

  await Promise.all([darkroom.upload(FILE), darkroom.upload(FILE)]);
  valid = "second";
  await Promise.all([darkroom.upload(FILE), darkroom.upload(FILE)]);

  assert.deepEqual(asked, [undefined, "first"]);
});

test("a token that is used up is replaced by a new one", async () => {
  const tokens = ["first", "second"];
  const answer = ({ headers }) => (headers.Authorization === "Bearer second" ? accepted() : problem(403, "token_used_up"));
  const { darkroom, requests } = clientOf(answer, { token: () => tokens.shift() });

  await darkroom.upload(FILE);

  assert.equal(requests.length, 2);
});

test("a token that may not use a route is not replaced", async () => {
  let count = 0;
  const { darkroom } = clientOf(() => problem(403, "insufficient_scope"), { token: () => `token ${count++}` });

  await assert.rejects(darkroom.upload(FILE), { code: "insufficient_scope" });

  assert.equal(count, 1);
});

test("an empty choice of a file is no upload", async () => {
  const { darkroom, requests } = clientOf(() => accepted());

  await assert.rejects(darkroom.upload([][0]), TypeError);

  assert.equal(requests.length, 0);
});

test("tokens that are all refused do not go on for ever", async () => {
  let count = 0;
  const { darkroom, requests } = clientOf(() => problem(401, "token_expired"), { token: () => `token ${count++}` });

  await assert.rejects(darkroom.upload(FILE), { status: 401, code: "token_expired" });

  assert.ok(requests.length < 10);
});

test("a backend that gives no token is asked again by the next upload", async () => {
  let count = 0;
  const token = async () => {
    count += 1;
    if (count === 1) throw new Error("backend is away");
    return "token";
  };
  const { darkroom } = clientOf(() => accepted(), { token });

  await assert.rejects(darkroom.upload(FILE), { message: "backend is away" });
  await darkroom.upload(FILE);

  assert.equal(count, 2);
});

test("an aborted upload ends with the reason of the signal", async () => {
  const controller = new AbortController();
  const { darkroom, requests } = clientOf(() => (controller.abort(new Error("enough")), problem(503, "overloaded")));

  await assert.rejects(darkroom.upload(FILE, { signal: controller.signal }), { message: "enough" });

  assert.equal(requests.length, 1);
});
