// The geometry of a crop: boxes {left, top, width, height} in whole pixels, always inside a picture {width, height}.

export const ASPECTS = ["1:1", "4:3", "3:2", "16:9", "3:4", "2:3", "9:16"];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Parse an aspect ratio such as 16:9 to a number; null if it is not one (any ratio is allowed). */
export function parseAspect(aspect) {
  const [width, height] = aspect.split(":").map(Number);
  return height ? width / height : null;
}

/** Return the largest centred box with an aspect ratio (width / height; null: the whole picture). */
export function centreBox(size, aspect) {
  const width = aspect ? Math.min(size.width, size.height * aspect) : size.width;
  const height = aspect ? width / aspect : size.height;
  return roundBox({ left: (size.width - width) / 2, top: (size.height - height) / 2, width, height }, size);
}

/** Return the box moved by dx and dy pixels, but not beyond the picture. */
export function moveBox(box, dx, dy, size) {
  const left = clamp(box.left + dx, 0, size.width - box.width);
  return roundBox({ ...box, left, top: clamp(box.top + dy, 0, size.height - box.height) }, size);
}

/** Return the box after a handle (n, ne, e, …) moved by dx and dy. The opposite side stays; an aspect ratio is kept. */
export function resizeBox(box, handle, dx, dy, size, aspect = null) {
  const across = handle.includes("e") - handle.includes("w");
  const down = handle.includes("s") - handle.includes("n");
  let width = box.width + across * dx;
  let height = box.height + down * dy;
  const room = {
    width: maxLength(box.left, box.width, across, size.width),
    height: maxLength(box.top, box.height, down, size.height),
  };
  if (aspect) {
    const wanted = !across ? height * aspect : !down ? width : Math.max(width, height * aspect);
    width = clamp(wanted, Math.max(1, aspect), Math.min(room.width, room.height * aspect));
    height = width / aspect;
  }
  width = clamp(width, 1, room.width);
  height = clamp(height, 1, room.height);
  const left = anchoredStart(box.left, box.width, across, width);
  return roundBox({ left, top: anchoredStart(box.top, box.height, down, height), width, height }, size);
}

/** Return the nearest box that fits the picture. */
export function fitBox(box, size) {
  const left = clamp(box.left, 0, size.width - 1);
  const top = clamp(box.top, 0, size.height - 1);
  return roundBox({ left, top, width: clamp(box.width, 1, size.width - left), height: clamp(box.height, 1, size.height - top) }, size);
}

/** Return the maximum length of a side: to the edge in its direction; without a direction, symmetric to the nearer edge. */
function maxLength(start, length, direction, edge) {
  if (direction > 0) return edge - start;
  if (direction < 0) return start + length;
  return 2 * Math.min(start + length / 2, edge - start - length / 2);
}

function anchoredStart(start, length, direction, longer) {
  if (direction > 0) return start;
  return direction < 0 ? start + length - longer : start + (length - longer) / 2;
}

function roundBox({ left, top, width, height }, size) {
  const across = clamp(Math.round(width), 1, size.width);
  const down = clamp(Math.round(height), 1, size.height);
  return {
    left: clamp(Math.round(left), 0, size.width - across),
    top: clamp(Math.round(top), 0, size.height - down),
    width: across,
    height: down,
  };
}
