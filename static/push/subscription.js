/** Subscribes this browser to a push service; the dashboard and the pages of visitors share this. */

const ANSWER_WITHIN = 10_000;
const SUBSCRIBE_WITHIN = 30_000;
const PAUSES = [500, 1_500]; // between tries to subscribe

/** Subscribe; retry if the browser returns an invalid endpoint, as it does for a moment after an unsubscribe. */
export async function subscribe(manager, key) {
  for (const pause of [...PAUSES, null]) {
    const subscription = await subscribeOnce(manager, key);
    if (!leadsNowhere(subscription)) return subscription;
    await within(ANSWER_WITHIN, subscription.unsubscribe());
    if (pause !== null) await new Promise((done) => setTimeout(done, pause));
  }
  throw new AddressError();
}

function subscribeOnce(manager, key) {
  return within(SUBSCRIBE_WITHIN, manager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
}

/** Return whether the host is Chromium's mark for a subscription that its push service removed: .invalid (RFC 6761). */
export function leadsNowhere({ endpoint }) {
  return new URL(endpoint).hostname.endsWith(".invalid");
}

export function keyOf(subscription) {
  const bytes = new Uint8Array(subscription.options.applicationServerKey ?? []);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The browser returned no valid endpoint. */
export class AddressError extends Error {
  trouble = { kind: "no-address" };
}

/** Return the promise's result, or throw a TimeoutError after some milliseconds. */
export function within(milliseconds, promise) {
  const late = new DOMException("no answer in time", "TimeoutError");
  return Promise.race([promise, new Promise((_, reject) => setTimeout(reject, milliseconds, late))]);
}
