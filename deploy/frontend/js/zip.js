// A zip archive without compression (images do not get smaller): PKWARE's APPNOTE 6.3.9, sections 4.3.7 to 4.3.16.

import { crc32 } from "../client.js";

const UTF8_NAMES = 0x0800;
const VERSION = 20;
const LOCAL = { signature: 0x04034b50, size: 30 };
const CENTRAL = { signature: 0x02014b50, size: 46 };
const END = { signature: 0x06054b50, size: 22 };
const MOST_BYTES = 0xffffffff;

/** Pack files [{name, bytes}] into one Blob. Names that are equal, or differ only in case, get a number. */
export function zip(files, at = new Date()) {
  const parts = [];
  const index = [];
  let offset = 0;
  for (const { name, bytes } of makeNamesUnique(files)) {
    const label = new TextEncoder().encode(name);
    const facts = [VERSION, UTF8_NAMES, 0, ...dosTime(at), crc32(bytes), bytes.length, bytes.length, label.length, 0];
    parts.push(record(LOCAL, facts, [2, 2, 2, 2, 2, 4, 4, 4, 2, 2]), label, bytes);
    index.push(record(CENTRAL, [VERSION, ...facts, 0, 0, 0, 0, offset], [2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4]), label);
    offset += LOCAL.size + label.length + bytes.length;
  }
  const indexBytes = index.reduce((sum, part) => sum + part.length, 0);
  if (offset + indexBytes > MOST_BYTES) throw new RangeError("more than 4 GiB do not fit a plain zip");
  const end = record(END, [0, 0, index.length / 2, index.length / 2, indexBytes, offset, 0], [2, 2, 2, 2, 4, 4, 2]);
  return new Blob([...parts, ...index, end], { type: "application/zip" });
}

function record({ signature, size }, values, widths) {
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, signature, true);
  let at = 4;
  values.forEach((value, position) => {
    if (widths[position] === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += widths[position];
  });
  return new Uint8Array(view.buffer);
}

function dosTime(at) {
  const time = (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1);
  return [time, ((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate()];
}

const foldCase = (name) => name.normalize().toLowerCase(); // as Windows and macOS compare names

function makeNamesUnique(files) {
  const taken = new Set();
  return files.map(({ name, bytes }) => {
    const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(name);
    let free = name;
    for (let number = 2; taken.has(foldCase(free)); number += 1) free = `${stem} (${number})${ending ?? ""}`;
    taken.add(foldCase(free));
    return { name: free, bytes };
  });
}
