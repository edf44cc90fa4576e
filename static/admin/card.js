/** Shows the parts of the opt-in card that belong to a state. The texts are in admin/_push.html. */

import { moveOn } from "./focus.js";
import { lastEndpoint } from "./storage.js";
import { browserFamily } from "./opt-in.js";

const card = globalThis.document?.getElementById("push");

let latest = {}; // the state and the trouble that are shown

/** True if the card is a guest on this page: it then appears only when it has something to say. */
export const isGuest = card?.dataset.place === "guest";

/** The id of the newest unread message, or 0. */
export const newest = Number(card?.dataset.newest ?? 0);

/**
 * Show the card in a state.
 * @param {import("./opt-in.js").State|"checking"} state
 * @param {import("./opt-in.js").Facts} facts
 * @param {{visible: boolean, settled: boolean}} how  `settled` if the state is not a guess
 */
export function show(state, facts, { visible, settled }) {
  if (!card) return;
  const focused = document.activeElement;
  // With no stored state, the final text may be shorter than the guess. Keep the card's height, so that nothing moves.
  // Measuring lays out the whole page, so leave it out where the guess was right.
  const decided = settled && card.dataset.state === "checking";
  const trouble = facts.trouble?.kind;
  const corrected = decided && !card.hidden && !(state === latest.state && trouble === latest.trouble);
  latest = { state, trouble };
  card.style.minBlockSize = corrected ? `${card.getBoundingClientRect().height}px` : "";
  if (corrected) addEventListener("resize", () => (card.style.minBlockSize = ""), { once: true });
  reveal("when", (states) => states.split(" ").includes(state));
  reveal("browser", (family) => family === browserFamily(facts));
  reveal("trouble", (kind) => kind === trouble);
  reveal("failing", (endpoint) => state === "on-but-failing" && endpoint === lastEndpoint.get());
  for (const element of card.querySelectorAll("[data-detail]")) element.textContent = facts.trouble?.detail ?? "";
  if (!(decided && state === "on" && card.dataset.looks !== "checking")) card.dataset.looks = state;
  if (settled) card.dataset.state = state;
  card.hidden = !visible;
  // The clicked button may be hidden now, and the focus must not fall back to the top of the page.
  if (visible && card.contains(focused) && focused.hidden) card.focus();
}

export function hide() {
  const focused = card.contains(document.activeElement);
  card.hidden = true;
  if (focused) moveOn();
}

export function isHidden() {
  return Boolean(card?.hidden);
}

function reveal(name, fits) {
  for (const element of card.querySelectorAll(`[data-${name}]`)) element.hidden = !fits(element.dataset[name]);
}

/** The card's element for the result of a test, and the address that sends one; undefined without a card. */
export const testResult = card?.querySelector("#push-tested");
export const testAddress = testResult?.dataset.send;

/** Mark this device in the list and put it first. The card turns it off: if only removed, it returns at the next visit. */
export function markThisDevice() {
  for (const row of document.querySelectorAll("[data-endpoint]")) {
    const here = row.dataset.endpoint === lastEndpoint.get() && row.dataset.state !== "gone";
    row.querySelector(".this-device").hidden = !here;
    row.querySelector("[data-remove]").hidden = here;
    if (here && row.previousElementSibling) row.parentElement.prepend(row);
  }
}
