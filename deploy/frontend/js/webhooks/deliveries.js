// The deliveries of a webhook, newest first: filtered, page by page, and kept up to date.

import { h, showToast } from "../dom.js";
import { problemSentence, t } from "../late-words.js";
import { getDelivery, listDeliveries } from "./calls.js";
import { deliveryRow } from "./delivery.js";

const STATUSES = ["pending", "delivered", "failed"];
const SOON_MS = 60_000;

/** Build the list. `load()` asks for its first page, `draw(page)` shows that, `isBusy()`: a delivery is about to be tried. */
export function deliveryList(id, { signal, refresh }) {
  const list = { id, signal, refresh, status: "", rows: new Map(), next: null, hasOlder: false };
  const select = h("select", { onchange: () => (forget(list), (list.status = select.value), refresh()) });
  select.append(...["", ...STATUSES].map((value) => h("option", { value }, t(`delivery.${value || "all"}`))));
  list.items = h("ul", { class: "deliveries" });
  list.none = h("p", { class: "nothing", hidden: true });
  list.older = h("button", { type: "button", hidden: true, onclick: () => loadOlder(list) }, t("jobs.older"));
  const element = h(
    "section",
    { class: "panel" },
    h("div", { class: "view-head" }, h("h2", {}, t("delivery.title")), h("label", { class: "field inline" }, h("span", {}, t("jobs.status")), select)),
    list.items,
    list.none,
    list.older,
  );
  return { element, load: () => loadFirst(list), draw: (page) => drawFirst(list, page), isBusy: () => [...list.rows.values()].some(isDueSoon) };
}

const isDueSoon = ({ delivery }) => delivery.status === "pending" && Date.parse(delivery.next_try_at) < Date.now() + SOON_MS;

/** Ask for the first page, and for the rows outside of it that the user has sent again. */
async function loadFirst(list) {
  const { status, signal } = list;
  const page = await listDeliveries(list.id, { status }, signal);
  const isOnPage = new Set(page.deliveries.map(({ delivery_id: id }) => id));
  const watched = [...list.rows.values()].filter(({ delivery, isKept }) => isKept && delivery.status === "pending" && !isOnPage.has(delivery.delivery_id));
  const found = await Promise.all(watched.map(({ delivery }) => getDelivery(delivery, signal).catch(() => delivery)));
  return { ...page, status, isOnPage, watched: found.map(({ payload: _, ...delivery }) => delivery) };
}

/** Show the first page. Rows of older pages stay. One that the user has sent again stays, though it may match no more. */
function drawFirst(list, { status, deliveries, next, isOnPage, watched }) {
  if (status !== list.status) return; // asked for before the filter changed
  const shown = [...list.rows.values()];
  const hasGap = deliveries.length > 0 && !shown.some(({ delivery }) => isOnPage.has(delivery.delivery_id)); // there may be more between them
  if (hasGap) Object.assign(list, { hasOlder: false });
  const last = next && !hasGap ? keyOf({ delivery: deliveries.at(-1) }) : "";
  for (const row of shown) if (!isOnPage.has(row.delivery.delivery_id) && !row.isKept && keyOf(row) > last) drop(list, row);
  for (const delivery of [...watched, ...deliveries]) put(list, delivery);
  if (!list.hasOlder) list.next = next;
  finish(list);
}

function drop({ rows }, { delivery, element }) {
  rows.delete(delivery.delivery_id);
  element.remove();
}

async function loadOlder(list) {
  const { status, next: cursor } = list;
  list.older.disabled = true;
  try {
    const page = await listDeliveries(list.id, { status, cursor }, list.signal);
    if (status !== list.status) return;
    list.hasOlder = true;
    list.next = page.next;
    page.deliveries.forEach((delivery) => put(list, delivery));
    finish(list);
  } catch (problem) {
    if (!list.signal.aborted) showToast(problemSentence(problem));
  } finally {
    list.older.disabled = false;
  }
}

function put(list, delivery) {
  const id = delivery.delivery_id;
  if (!list.rows.has(id)) list.rows.set(id, deliveryRow(list));
  list.rows.get(id).update(delivery);
}

/** Put the rows in their order. Those that are in place are not moved, so that the focus stays. */
function finish({ items, older, next, none, rows, status }) {
  const newestFirst = [...rows.values()].sort((one, other) => (keyOf(one) < keyOf(other) ? 1 : -1));
  newestFirst.forEach(({ element }, position) => {
    if (items.children[position] !== element) items.insertBefore(element, items.children[position] ?? null);
  });
  older.hidden = !next;
  none.hidden = rows.size > 0;
  none.textContent = t(status ? "delivery.no_match" : "delivery.none");
}

const keyOf = ({ delivery }) => `${delivery.created_at} ${delivery.delivery_id}`;

function forget(list) {
  list.rows.clear();
  list.items.replaceChildren();
  Object.assign(list, { next: null, hasOlder: false });
  list.older.hidden = list.none.hidden = true;
}
