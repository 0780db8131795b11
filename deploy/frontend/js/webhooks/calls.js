// The requests of the views of webhooks. All throw DarkroomErrors.

import { darkroom, fetchJson } from "../api.js";

const send = (method, path, body = {}) => fetchJson(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const pathOf = (id) => `/webhooks/${encodeURIComponent(id)}`;
const deliveryPath = ({ webhook_id: webhook, delivery_id: id }) => `${pathOf(webhook)}/deliveries/${encodeURIComponent(id)}`;

export const listWebhooks = async (signal) => (await fetchJson("/webhooks", { signal })).webhooks;
export const getWebhook = (id, signal) => fetchJson(pathOf(id), { signal });
export const createWebhook = (wanted) => send("POST", "/webhooks", wanted);
export const changeWebhook = (id, changes) => send("PATCH", pathOf(id), changes);
export const removeWebhook = (id) => darkroom.request(pathOf(id), { method: "DELETE" });
export const rotateSecret = (id, seconds) => send("POST", `${pathOf(id)}/rotate`, { expires_in: seconds });
export const sendTest = (id) => fetchJson(`${pathOf(id)}/test`, { method: "POST" });
export const getDelivery = (delivery, signal) => fetchJson(deliveryPath(delivery), { signal });
export const redeliver = (delivery) => fetchJson(`${deliveryPath(delivery)}/redeliver`, { method: "POST" });

/** Return a page of deliveries, newest first; only those with a status, if one is given. */
export function listDeliveries(id, { status, cursor }, signal) {
  const given = Object.entries({ status, cursor }).filter(([, value]) => value);
  return fetchJson(`${pathOf(id)}/deliveries?${new URLSearchParams(given)}`, { signal });
}
