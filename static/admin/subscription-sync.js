/** Keeps the subscriptions of the browser and the server in sync for this device. */

import { choice, lastEndpoint } from "./storage.js";
import { gather, isOpen } from "./opt-in.js";
import { page } from "./page.js";
import { asTrouble, post, serverKey } from "./server.js";
import { SITE_PATH } from "../push/site.js";
import { keyOf, leadsNowhere, subscribe, within } from "../push/subscription.js";

const ANSWER_WITHIN = 10_000;
const PATIENCE = 5_000;
const LOCK = `feedback-push${SITE_PATH}`;

/**
 * Sync the browser and the server, and return the facts; tabs and the service worker (sw.js) take turns with a lock.
 * The tab with the lock may be frozen, so no caller waits longer than `patience`: at worst, two at once leave a dead
 * device.
 * @param {{anew?: boolean, patience?: number}} [how]  `anew` replaces the existing subscription; `patience` is in ms
 * @returns {Promise<import("./opt-in.js").Facts>}
 */
export function agree({ anew = false, patience = PATIENCE } = {}) {
  const settle = () => agreeNow(anew);
  if (!navigator.locks) return settle();
  return navigator.locks.request(LOCK, { signal: AbortSignal.timeout(patience) }, settle).catch(settle);
}

/** Never throw: an error becomes part of the facts. */
async function agreeNow(anew) {
  const facts = gather();
  try {
    await (isOpen(facts) ? connect(facts, anew) : forgetAllBut(null));
  } catch (error) {
    facts.trouble = asTrouble(error);
  }
  return facts;
}

/** Fill in the facts step by step, so that they are true up to the step that throws. */
async function connect(facts, anew) {
  const manager = await pushManager();
  const found = await manager.getSubscription();
  facts.subscribed = found !== null;
  const wanted = choice.get() === "on" || (found !== null && choice.get() !== "off");
  const key = wanted ? await serverKey() : null;
  const lost = found && (leadsNowhere(found) || listed("gone").includes(found.endpoint));
  const usable = found && key === keyOf(found) && !anew && !lost;
  const kept = usable ? found : null;
  if (found && !kept) await cancel(found, facts);
  await forgetAllBut(kept);
  if (wanted) await announce(kept ?? (await subscribe(manager, key)), facts);
}

const trusted = globalThis.trustedTypes?.createPolicy("feedback-push", { createScriptURL: onlyTheWorker });

function onlyTheWorker(url) {
  if (url === page.worker) return url;
  throw new TypeError(`not the service worker: ${url}`);
}

async function pushManager() {
  const url = trusted?.createScriptURL(page.worker) ?? page.worker;
  await navigator.serviceWorker.register(url, { scope: page.scope });
  const registration = await within(ANSWER_WITHIN, navigator.serviceWorker.ready);
  return registration.pushManager;
}

/** Unsubscribe at the browser and the server at once, so that signing out does not wait for one after the other. */
async function cancel(subscription, facts) {
  // The server does not know an invalid endpoint, so it removes the one before.
  if (!leadsNowhere(subscription)) lastEndpoint.set(subscription.endpoint);
  const inBrowser = within(ANSWER_WITHIN, subscription.unsubscribe());
  const [browser, server] = await Promise.allSettled([inBrowser, forgetAllBut(null)]);
  facts.subscribed = browser.status === "rejected";
  for (const { reason } of [browser, server]) if (reason) throw reason;
}

/** Make the server drop the endpoint that it was sent last, unless it is the given subscription's. */
async function forgetAllBut(subscription) {
  const endpoint = lastEndpoint.get();
  if (!endpoint || endpoint === subscription?.endpoint) return;
  await post(page.unsubscribe, { endpoint });
  lastEndpoint.remove();
}

async function announce(subscription, facts) {
  facts.subscribed = true;
  await post(page.subscribe, { ...subscription.toJSON(), applicationServerKey: keyOf(subscription) });
  lastEndpoint.set(subscription.endpoint);
  if (choice.get() === null) choice.set("on"); // "off" may have been clicked in the meantime
  facts.known = true;
  facts.failing = listed("failing").includes(subscription.endpoint);
}

/** Return the endpoints in a data attribute of the script: `gone` if the push service dropped them, or `failing`. */
export function listed(name) {
  return page[name].split(" ");
}
