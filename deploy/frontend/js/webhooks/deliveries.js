// The deliveries of a webhook, newest first: filtered, page by page, and kept up to date.

import { h, showToast } from "../dom.js";
import { problemSentence, t } from "../late-words.js";
import { listDeliveries } from "./calls.js";
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

async function loadFirst(list) {
  const { status } = list;
  return { status, ...(await listDeliveries(list.id, { status }, list.signal)) };
}

/** Show the first page. Rows of older pages stay, and so do those that match the filter no more: they are what was acted on. */
function drawFirst(list, { status, deliveries, next }) {
  if (status !== list.status) return; // asked for before the filter changed
  if (deliveries.length && !deliveries.some(({ delivery_id: id }) => list.rows.has(id))) forget(list); // between these and the rows there may be more
  deliveries.forEach((delivery) => put(list, delivery));
  if (!list.hasOlder) list.next = next;
  finish(list);
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
