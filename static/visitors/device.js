/**
 * This browser as a visitor's device: it subscribes, and tells the server. The pages of visitors share this; the element
 * with data-subscribe-to names the addresses.
 */

import { SITE_PATH } from "../push/site.js";
import { keyOf, leadsNowhere, subscribe, within } from "../push/subscription.js";

const ANSWER_WITHIN = 10_000;
const PATIENCE = 5_000; // for another tab that does the same
const ENDPOINT = `feedback-push${SITE_PATH}.visitor-endpoint`; // that the server was sent last
const LOCK = `feedback-push-visitor${SITE_PATH}`;
const ACTIVE = ["activated", "activating"];

const place = document.querySelector("[data-subscribe-to]");
const { key, worker, scope, subscribeTo } = place?.dataset ?? {};

/** The server gave a reason why not. */
export class Refused extends Error {}

/** Subscribe this browser if it is not yet, tell the server what it follows, and return the server's answer. */
export async function send(followed) {
  const { pushManager } = await registration();
  const found = await pushManager.getSubscription();
  const usable = isUsable(found);
  if (found && !usable) await within(ANSWER_WITHIN, found.unsubscribe());
  const made = usable ? found : await subscribe(pushManager, key);
  const sent = { ...made.toJSON(), applicationServerKey: key };
  const old = endpointSentLast();
  const replaces = old && old !== made.endpoint ? old : "";
  const answer = await post(subscribeTo, { subscription: sent, replaces, ...followed });
  localStorage.setItem(ENDPOINT, made.endpoint);
  return answer;
}

/** Return the endpoint that this browser has now, if it has one that works, and the one that the server was sent last. */
export async function endpoints() {
  const registered = await within(ANSWER_WITHIN, navigator.serviceWorker.getRegistration(scope));
  const isOurs = registered && new URL(registered.scope).pathname === scope;
  const found = isOurs ? await registered.pushManager.getSubscription() : null;
  return { now: isUsable(found) ? found.endpoint : null, sentLast: endpointSentLast() };
}

export function endpointSentLast() {
  return localStorage.getItem(ENDPOINT);
}

export async function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  const how = { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" };
  const response = await fetch(url, { ...how, signal: AbortSignal.timeout(ANSWER_WITHIN) });
  if (response.status >= 400 && response.status < 500) throw new Refused((await response.json()).error);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}

/** Take turns with other tabs. A frozen tab causes no long wait. */
export function inTurn(action) {
  if (!navigator.locks) return action();
  let turn;
  const once = () => (turn ??= action());
  return navigator.locks.request(LOCK, { signal: AbortSignal.timeout(PATIENCE) }, once).catch(once);
}

function isUsable(found) {
  return Boolean(found && keyOf(found) === key && !leadsNowhere(found));
}

const trusted = globalThis.trustedTypes?.createPolicy("feedback-push", { createScriptURL: onlyTheWorker });

async function registration() {
  const registered = navigator.serviceWorker.register(trusted?.createScriptURL(worker) ?? worker, { scope });
  return within(ANSWER_WITHIN, registered.then(activated));
}

function onlyTheWorker(url) {
  if (url === worker) return url;
  throw new TypeError(`not the service worker: ${url}`);
}

/** Wait for the worker, because this page is outside its scope and navigator.serviceWorker.ready waits for ever. */
async function activated(found) {
  const { installing, waiting, active } = found;
  const starting = active ?? waiting ?? installing;
  while (!ACTIVE.includes(starting.state)) {
    await new Promise((changed) => starting.addEventListener("statechange", changed, { once: true }));
    if (starting.state === "redundant") throw new Error("the service worker did not start");
  }
  return found;
}
