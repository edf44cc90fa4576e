/** Suggests installing the dashboard as an app, once push works and if the browser can install it. */

import { installing } from "./storage.js";
import { browserFamily } from "./opt-in.js";

const suggestion = globalThis.document?.getElementById("install");
let offer = null; // Chromium's own prompt, kept until somebody clicks

/**
 * Return the way to install the app: by the browser's own prompt, by hand in its menu, or null for none.
 * @param {{installed: boolean, offered: boolean, family: string}} browser
 * @returns {"offer"|"safari"|"firefox-android"|null}
 */
export function wayToInstall({ installed, offered, family }) {
  if (installed) return null;
  if (offered) return "offer";
  return family === "safari" || family === "firefox-android" ? family : null;
}

/** Show or hide the suggestion. Call this whenever the state of notifications is known. */
export function suggest(state, facts) {
  if (!suggestion) return;
  const way = wayToInstall({ installed: facts.installed, offered: offer !== null, family: browserFamily(facts) });
  suggestion.hidden = state !== "on" || way === null || installing.get() === "no";
  for (const element of suggestion.querySelectorAll("[data-way]")) element.hidden = element.dataset.way !== way;
}

/** Call `offered` when the browser offers to install the app. */
export function listen(offered) {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    offer = event;
    offered();
  });
  addEventListener("appinstalled", decline);
  document.getElementById("install-decline")?.addEventListener("click", decline);
  document.getElementById("install-accept")?.addEventListener("click", accept);
}

function decline() {
  installing.set("no");
  if (suggestion) suggestion.hidden = true;
}

async function accept() {
  suggestion.hidden = true;
  await offer.prompt();
  offer = null; // a prompt can be shown only once
}
