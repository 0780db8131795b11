// Uploads with Node's own fetch, one after another: node early_fetch.mjs URL KEY. Prints how each ended, as JSON.
const [, , url, key] = process.argv;
const MEGABYTE = 1_000_000;

function form(bytes) {
  const body = new FormData();
  body.append("file", new Blob([Buffer.alloc(bytes)]), "a.jpg");
  return { body };
}

function stream(bytes) {
  let left = bytes;
  const pull = (controller) => {
    const count = Math.min(65536, left);
    if (count === 0) controller.close();
    else controller.enqueue(new Uint8Array(count));
    left -= count;
  };
  const headers = { "Content-Type": "multipart/form-data; boundary=a-boundary" };
  return { body: new ReadableStream({ pull }), duplex: "half", headers };
}

async function upload({ headers = {}, ...options }) {
  const authorization = key ? { Authorization: `Bearer ${key}` } : {};
  try {
    const answer = await fetch(`${url}/upload`, { method: "POST", headers: { ...headers, ...authorization }, ...options });
    return `${answer.status} ${(await answer.json()).code}`;
  } catch (error) {
    return `no answer: ${error.cause?.code ?? error.message}`;
  }
}

const ends = [];
for (const bytes of [2 * MEGABYTE, 20 * MEGABYTE]) ends.push(await upload(form(bytes)), await upload(stream(bytes)));
ends.push(await upload(stream(100 * MEGABYTE)));
console.log(JSON.stringify(ends));
process.exit(0);
