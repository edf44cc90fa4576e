/**
 * The subscribe script of the dashboard. On every page it keeps the browser and the server in sync for this device.
 * On a page with an opt-in card, it also shows the state of notifications and handles clicks.
 */

import { agree, listed } from "./subscription-sync.js";
import * as card from "./card.js";
import * as install from "./install.js";
import { choice, lastEndpoint, lastState, lastTrouble, putAside } from "./storage.js";
import { decide, gather, guess, isOpen, speaksUp } from "./opt-in.js";
import { page } from "./page.js";
import { asTrouble } from "./server.js";
import { within } from "../push/subscription.js";
import * as test from "./test-notification.js";

const SIGN_OUT_WITHIN = 2_000;
const PATIENCE_TO_SIGN_OUT = 1_000;

let queue = Promise.resolve();
let clicked = false;
let asking = false;
let tests = 0;
let permission = null; // at the latest visit
let stands = null; // whether the card is visible after the first sync; a later change would move the page
let current = { state: "checking", facts: gather() };

/** Run visits one after the other, because each reads data that the one before has stored. */
function visit(how) {
  permission = gather().permission;
  queue = queue.then(() => refresh(how));
  return queue;
}

async function refresh(how) {
  const atOnce = gather();
  if (!isOpen(atOnce)) show(decide(atOnce), atOnce, true);
  const facts = await agree(how);
  stands = !card.isHidden();
  if (isOpen(facts)) show(decide(facts), facts, true);
  return facts;
}

function show(state, facts, settled) {
  current = { state, facts };
  const circumstances = { newest: card.newest, putAside: putAside.get(), clicked, stands };
  card.show(state, facts, { visible: !card.isGuest || speaksUp(state, circumstances), settled });
  if (!settled) return;
  lastState.set(state);
  lastTrouble.set(JSON.stringify(facts.trouble));
  install.suggest(state, facts);
}

async function turnOn() {
  choice.set("on");
  asking = true;
  await Notification.requestPermission().finally(() => (asking = false));
  const { known } = await visit();
  if (known) listDevicesAnew();
}

async function turnOff() {
  choice.set("off");
  const { trouble } = await visit();
  if (!trouble) listDevicesAnew();
}

async function renew() {
  const { known } = await visit({ anew: true });
  if (known) listDevicesAnew();
}

/** Send a test to this device. A later click replaces the result of an earlier one. */
async function sendTest() {
  const number = ++tests;
  card.testResult.textContent = "";
  try {
    const result = await test.send(card.testAddress, lastEndpoint.get() ?? "");
    await test.follow(result, card.testResult, () => number !== tests);
  } catch (error) {
    show(current.state, { ...current.facts, trouble: asTrouble(error) }, true);
  }
}

function listDevicesAnew() {
  if (document.querySelector("[data-devices]")) location.reload();
}

function notNow() {
  putAside.set(card.newest);
  card.hide();
}

/** Remove this device when signing out, but never wait long for it. */
async function leave(event) {
  event.preventDefault();
  choice.set("off");
  await within(SIGN_OUT_WITHIN, visit({ patience: PATIENCE_TO_SIGN_OUT })).catch(() => {});
  event.target.submit();
}

/** Keep this device's notifications at a password change. Another device in this session was added by somebody else. */
function nameThisDevice({ target }) {
  const field = Object.assign(document.createElement("input"), { type: "hidden", name: "endpoint" });
  field.value = lastEndpoint.get() ?? "";
  target.append(field);
}

function onClick(id, action) {
  const button = document.getElementById(id);
  button?.addEventListener("click", async () => {
    clicked = true;
    button.ariaBusy = "true";
    await action().finally(() => (button.ariaBusy = null));
    confirmFirst();
  });
}

/** Go to the page that asks who is there, if the server wants to know before it adds this device; it leads back here. */
function confirmFirst() {
  const { confirm } = current.facts.trouble ?? {};
  if (confirm) location.assign(`${confirm}?next=${encodeURIComponent(location.pathname + location.search)}`);
}

async function watchPermission() {
  const status = await navigator.permissions?.query({ name: "notifications" });
  // turnOn handles the answer to our own prompt; this event may come before or after that.
  status?.addEventListener("change", () => {
    if (!asking && status.state !== permission) visit();
  });
}

function start() {
  onClick("push-enable", turnOn);
  onClick("push-disable", turnOff);
  onClick("push-recheck", visit);
  onClick("push-renew", renew);
  onClick("push-test", sendTest);
  document.getElementById("push-later")?.addEventListener("click", notNow);
  document.querySelector("form[data-logout]").addEventListener("submit", leave, { once: true });
  document.querySelector("form#password")?.addEventListener("submit", nameThisDevice, { once: true });
  watchPermission();
  install.listen(() => install.suggest(current.state, current.facts));
  card.markThisDevice();
  show(guess(current.facts, remembered()), { ...current.facts, trouble: JSON.parse(lastTrouble.get()) }, false);
  visit();
}

function remembered() {
  const failing = listed("failing").includes(lastEndpoint.get());
  return { choice: choice.get(), lastState: lastState.get(), failing };
}

if (page) start();
