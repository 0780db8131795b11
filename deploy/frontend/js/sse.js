// Server-sent events over fetch. EventSource cannot send headers, which the key and Last-Event-ID need.

const LINE_BREAK = /\r\n|\n|\r(?!$)/; // a CR at the end may be half of a CRLF: wait for the next chunk

/** Yield the events {type, id, retry, text} of a body of text/event-stream; `onBytes` is called for every chunk. */
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
