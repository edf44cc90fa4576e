/**
 * The card with which a visitor turns notifications of answers on or off in this browser. Its texts are in
 * templates/visitors/_notifications.html: data-when lists the states that an element belongs to.
 */

import { decide, gather } from "../admin/opt-in.js";
import { keyOf, leadsNowhere, subscribe, within } from "../push/subscription.js";

const ANSWER_WITHIN = 10_000;
const PATIENCE = 5_000; // for another tab that does the same
const FOLLOWED = "feedback-push.followed"; // the private links that this browser follows, by their names
const ENDPOINT = "feedback-push.visitor-endpoint"; // that the server was sent last
const ACTIVE = ["activated", "activating"];

const card = document.getElementById("notifications");
const { key, link, name, worker, scope, subscribeTo, unsubscribeFrom } = card?.dataset ?? {};
const withText = document.getElementById("with-text");

/** Return the state to show: "on", "default", or the reason why notifications cannot be turned on. */
function state() {
  const known = name in followed();
  const facts = { ...gather(), subscribed: known, known };
  const decided = decide(facts);
  return decided === "granted-not-subscribed" ? "default" : decided;
}

function show(trouble = "") {
  const shown = state();
  card.style.minBlockSize = `${card.getBoundingClientRect().height}px`; // or what follows would move
  card.dataset.state = shown;
  for (const element of card.querySelectorAll("[data-when]")) {
    element.hidden = !element.dataset.when.split(" ").includes(shown);
  }
  for (const element of card.querySelectorAll("[data-trouble]")) element.hidden = element.dataset.trouble !== trouble;
}

async function turnOn() {
  if ((await Notification.requestPermission()) !== "granted") return;
  await follow(Boolean(withText?.checked));
}

/** Subscribe this browser if it is not yet, and tell the server; with an error the card stays as it was. */
async function follow(text) {
  const { pushManager } = await registration();
  const found = await pushManager.getSubscription();
  const usable = found && keyOf(found) === key && !leadsNowhere(found);
  if (found && !usable) await within(ANSWER_WITHIN, found.unsubscribe());
  const made = usable ? found : await subscribe(pushManager, key);
  const sent = { ...made.toJSON(), applicationServerKey: key };
  const old = localStorage.getItem(ENDPOINT);
  const replaces = old && old !== made.endpoint ? old : "";
  await post(subscribeTo, { subscription: sent, conversations: [link], with_text: text, replaces });
  localStorage.setItem(ENDPOINT, made.endpoint);
  remember({ ...followed(), [name]: { text } });
}

async function turnOff() {
  const endpoint = localStorage.getItem(ENDPOINT);
  if (endpoint) await post(unsubscribeFrom, { endpoint, conversations: [link] });
  const { [name]: _, ...others } = followed();
  remember(others);
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

class Refused extends Error {}

async function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  const how = { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" };
  const response = await fetch(url, { ...how, signal: AbortSignal.timeout(ANSWER_WITHIN) });
  if (response.status >= 400 && response.status < 500) throw new Refused((await response.json()).error);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
}

function followed() {
  try {
    return JSON.parse(localStorage.getItem(FOLLOWED)) ?? {};
  } catch {
    return {};
  }
}

function remember(links) {
  localStorage.setItem(FOLLOWED, JSON.stringify(links));
}

/** Take turns with other tabs. A frozen tab causes no long wait. */
function inTurn(action) {
  if (!navigator.locks) return action();
  let turn;
  const once = () => (turn ??= action());
  return navigator.locks.request("feedback-push-visitor", { signal: AbortSignal.timeout(PATIENCE) }, once).catch(once);
}

function onClick(id, action) {
  const button = document.getElementById(id);
  button?.addEventListener("click", async () => {
    button.ariaBusy = "true";
    const trouble = await action().then(() => "", explain);
    button.ariaBusy = null;
    show(trouble);
    if (button.hidden) card.focus(); // the focus must not fall back to the top of the page
  });
}

function explain(error) {
  for (const element of card.querySelectorAll("[data-detail]")) element.textContent = error.message;
  return error instanceof Refused ? "refused" : "failed";
}

/** Confirm at each visit that the server knows this browser; forget a link that it refuses. */
async function confirm() {
  const { text } = followed()[name];
  try {
    await inTurn(() => follow(text));
  } catch (error) {
    if (!(error instanceof Refused)) return; // offline, for example; nothing was lost
    const { [name]: _, ...others } = followed();
    remember(others);
    show(explain(error));
  }
}

/** Show an answer that arrives while the page is open, but never at the cost of a text that is not sent yet. */
function listen() {
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    const typed = document.querySelector("textarea")?.value;
    if (data?.type === "answer" && !typed) location.reload();
  });
  navigator.serviceWorker?.startMessages();
}

function start() {
  show();
  onClick("notify-me", turnOn);
  onClick("notify-no-more", () => inTurn(turnOff));
  listen();
  if (state() === "on") confirm();
}

if (card) start();
