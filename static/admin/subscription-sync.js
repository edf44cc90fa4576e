/** Brings browser and server to agree about this device. */

import { choice, lastEndpoint } from "./storage.js";
import { gather, isOpen } from "./opt-in.js";
import { page } from "./page.js";
import { AddressError, asTrouble, post, serverKey, within } from "./server.js";

const ANSWER_WITHIN = 10_000;
const SUBSCRIBE_WITHIN = 30_000;
const PATIENCE = 5_000;
const PAUSES = [500, 1_500]; // between tries to subscribe

/**
 * Does what is to be done and tells how far it came; tabs and the service worker (sw.js) take turns.
 * Whose turn it is may be frozen, so nobody waits longer than their patience: two at once leave a dead device at worst.
 * @param {{anew?: boolean, patience?: number}} [how]  `anew` replaces the subscription that there is
 * @returns {Promise<import("./opt-in.js").Facts>}
 */
export function agree({ anew = false, patience = PATIENCE } = {}) {
  const settle = () => agreeNow(anew);
  if (!navigator.locks) return settle();
  return navigator.locks.request("feedback-push", { signal: AbortSignal.timeout(patience) }, settle).catch(settle);
}

/** Never throws: what goes wrong is among the facts. */
async function agreeNow(anew) {
  const facts = gather();
  try {
    await (isOpen(facts) ? connect(facts, anew) : forgetAllBut(null));
  } catch (error) {
    facts.trouble = asTrouble(error);
  }
  return facts;
}

/** Fills in the facts step by step, so that they are true as far as it came when a step throws. */
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

/** Tries again where the browser gives out an address that leads nowhere: it does for a moment after an unsubscribe. */
async function subscribe(manager, key) {
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

/** Chromium's mark for a subscription that its push service has removed: a name that exists nowhere (RFC 6761). */
function leadsNowhere({ endpoint }) {
  return new URL(endpoint).hostname.endsWith(".invalid");
}

/** Browser and server at once, so that neither has to wait for the other when somebody signs out. */
async function cancel(subscription, facts) {
  // The server knows nothing of an address that leads nowhere: it forgets the one before.
  if (!leadsNowhere(subscription)) lastEndpoint.set(subscription.endpoint);
  const inBrowser = within(ANSWER_WITHIN, subscription.unsubscribe());
  const [browser, server] = await Promise.allSettled([inBrowser, forgetAllBut(null)]);
  facts.subscribed = browser.status === "rejected";
  for (const { reason } of [browser, server]) if (reason) throw reason;
}

/** The server drops the endpoint that it was given last, unless this is the subscription in use. */
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

function keyOf(subscription) {
  const bytes = new Uint8Array(subscription.options.applicationServerKey ?? []);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Endpoints in a data attribute of the script: `gone` where the push service has forgotten them, `failing` otherwise. */
export function listed(name) {
  return page[name].split(" ");
}
