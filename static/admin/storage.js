/** The values that this browser stores between visits. */

import { SITE_PATH } from "../push/site.js";

const OURS = `feedback-push${SITE_PATH}.`;
const DRAFT = `${OURS}draft.`;

/** The endpoint that the server was sent last. The server drops it when the browser no longer has it. */
export const lastEndpoint = remembered(`${OURS}endpoint`);

/** "on" or "off", as chosen on this device. Only "on" may subscribe again without a click. */
export const choice = remembered(`${OURS}choice`);

/** The state at the end of the last visit. The first paint uses it as a guess, before the server has answered. */
export const lastState = remembered(`${OURS}state`);

/** The trouble at the last visit, as JSON, so that the text about it takes the same space at the first paint. */
export const lastTrouble = remembered(`${OURS}trouble`);

/** The newest unread message at the time of "Not now". A newer message brings the card back. */
export const putAside = remembered(`${OURS}put-aside`);

/** "no" after installing the app was declined. */
export const installing = remembered(`${OURS}installing`);

/** The unsent answer to a message. */
export const draft = (messageId) => remembered(`${DRAFT}${messageId}`);

/** Remove all unsent answers, for the next person at this browser. */
export function forgetDrafts() {
  for (const name of Object.keys(localStorage)) if (name.startsWith(DRAFT)) localStorage.removeItem(name);
}

function remembered(name) {
  return {
    get: () => localStorage.getItem(name),
    set: (value) => localStorage.setItem(name, value),
    remove: () => localStorage.removeItem(name),
  };
}
