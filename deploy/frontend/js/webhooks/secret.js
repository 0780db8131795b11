// The secret of a webhook, shown once: this page keeps it until the view is left, and stores it nowhere.

import { copy } from "../actions.js";
import { button, h } from "../dom.js";
import { t } from "../late-words.js";

const secrets = new Map();

/** Keep the new secret of a webhook for its view. */
export const keepSecret = ({ webhook_id: id, secret }) => secrets.set(id, secret);

/** Forget all secrets, unless the same view is only drawn again, for another language. */
export const forgetSecrets = (hash) => location.hash !== hash && secrets.clear();

/** Show the kept secret of a webhook in `place`, and focus its button. */
export function showSecret(place, id) {
  const secret = secrets.get(id);
  if (!secret) return place.replaceChildren();
  const copying = button("link", t("secret.copy"), (event) => copy(event, secret), { class: "copy" });
  const done = () => (secrets.delete(id), place.replaceChildren());
  place.replaceChildren(
    h(
      "section",
      { class: "panel secret", "aria-labelledby": "secret-title" },
      h("h2", { id: "secret-title" }, t("secret.title")),
      h("p", {}, t("secret.why")),
      h("p", { class: "secret-value" }, h("code", {}, secret)),
      h("div", { class: "actions" }, copying, h("button", { type: "button", onclick: done }, t("secret.done"))),
    ),
  );
  copying.focus();
}
