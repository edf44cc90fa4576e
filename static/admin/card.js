/** Shows in the opt-in card what belongs to a state: its words stand in admin/_push.html. */

import { lastEndpoint } from "./storage.js";
import { browserFamily } from "./opt-in.js";

const card = globalThis.document?.getElementById("push");

/** Whether the card is a guest on this page, so that it appears only with something to say. */
export const isGuest = card?.dataset.place === "guest";

/** The newest unread message, where there is one. */
export const newest = Number(card?.dataset.newest ?? 0);

/**
 * @param {import("./opt-in.js").State|"checking"} state
 * @param {import("./opt-in.js").Facts} facts
 * @param {{visible: boolean, settled: boolean}} how  `settled` when the state is no guess
 */
export function show(state, facts, { visible, settled }) {
  if (!card) return;
  const focused = document.activeElement;
  // Where nothing is remembered, less may be to say than was guessed: the card keeps its room, so that nothing moves.
  const decided = settled && card.dataset.state === "checking";
  card.style.minBlockSize = decided ? `${card.getBoundingClientRect().height}px` : "";
  if (decided) addEventListener("resize", () => (card.style.minBlockSize = ""), { once: true });
  reveal("when", (states) => states.split(" ").includes(state));
  reveal("browser", (family) => family === browserFamily(facts));
  reveal("trouble", (kind) => kind === facts.trouble?.kind);
  reveal("failing", (endpoint) => state === "on-but-failing" && endpoint === lastEndpoint.get());
  for (const element of card.querySelectorAll("[data-detail]")) element.textContent = facts.trouble?.detail ?? "";
  if (!(decided && state === "on" && card.dataset.looks !== "checking")) card.dataset.looks = state;
  if (settled) card.dataset.state = state;
  card.hidden = !visible;
  // The button that was clicked may be gone now, and the focus must not fall back to the top of the page.
  if (visible && card.contains(focused) && focused.hidden) card.focus();
}

export function hide() {
  card.hidden = true;
}

export function isHidden() {
  return Boolean(card?.hidden);
}

function reveal(name, fits) {
  for (const element of card.querySelectorAll(`[data-${name}]`)) element.hidden = !fits(element.dataset[name]);
}

/** Among the devices this one is turned off with its card: merely removed, it would be back at the next visit. */
export function markThisDevice() {
  for (const row of document.querySelectorAll("[data-endpoint]")) {
    const here = row.dataset.endpoint === lastEndpoint.get();
    row.querySelector(".this-device").hidden = !here;
    row.querySelector("[data-remove]").hidden = here;
  }
}
