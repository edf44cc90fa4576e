/**
 * The page of the topics: a box for each, ticked while this browser follows it. Its texts are in
 * templates/visitors/follow.html: data-when lists the states that an element belongs to, data-told is a result.
 */

import { decide, gather } from "../admin/opt-in.js";
import { endpoints, endpointSentLast, inTurn, post, Refused, send } from "./device.js";

const form = document.getElementById("follow");
const fieldset = document.getElementById("topics");
const save = form.querySelector("[type=submit]");
const { unsubscribeFrom, followingFrom } = form.dataset;
let followed = []; // the slugs that the server has confirmed
let known = ""; // the endpoint by which the server knows this browser
const names = {}; // of the topics by their slugs, also of those that have no box on this page

/** Return the state to show: "on", "default", or the reason why notifications cannot be turned on. */
function state() {
  const isFollowing = followed.length > 0;
  const decided = decide({ ...gather(), subscribed: isFollowing, known: isFollowing });
  return decided === "granted-not-subscribed" ? "default" : decided;
}

function show(told = "") {
  const shown = state();
  form.dataset.state = shown;
  for (const element of form.querySelectorAll("[data-when]")) {
    element.hidden = !element.dataset.when.split(" ").includes(shown);
  }
  for (const element of form.querySelectorAll("[data-told]")) element.hidden = element.dataset.told !== told;
  fieldset.disabled = save.disabled = !["on", "default"].includes(shown);
}

// --- What this browser follows ---

/** Ask the server, also for the endpoint before a renewal that failed; renew the subscription if it no longer works. */
async function look() {
  if (globalThis.Notification?.permission !== "granted" || !navigator.serviceWorker) return;
  const { now, sentLast } = await endpoints();
  for (const endpoint of new Set([now, sentLast].filter(Boolean))) {
    const found = await post(followingFrom, { endpoint });
    if (!found.topics.length) continue;
    known = endpoint;
    reflect(found);
    if (found.renew || endpoint !== now) await inTurn(() => tell({}));
    return;
  }
}

async function tell(changes) {
  const answer = await send(changes);
  known = endpointSentLast();
  return answer;
}

/** Tick the boxes; a paused topic has no tick, because nothing of it is sent. */
function reflect({ topics, paused = {}, names: found = {} }) {
  followed = topics;
  Object.assign(names, found);
  const boxes = new Map(Array.from(fieldset.querySelectorAll("[name=topic]"), (box) => [box.value, box]));
  const active = topics.filter((slug) => !(slug in paused));
  for (const [slug, box] of boxes) box.checked = active.includes(slug);
  list("other-topics", active.filter((slug) => !boxes.has(slug)).map(another));
  list("paused-topics", Object.entries(paused).map(pausedTopic));
}

function list(id, items) {
  const section = document.getElementById(id);
  section.querySelector("ul").replaceChildren(...items);
  section.hidden = items.length === 0;
}

function another(slug) {
  const item = copy("another");
  Object.assign(item.querySelector("input"), { value: slug, checked: true });
  item.querySelector("strong").textContent = names[slug];
  return item;
}

function pausedTopic([slug, reason]) {
  const item = copy("paused");
  item.querySelector("strong").textContent = names[slug];
  item.querySelector("p").textContent = reason;
  item.querySelector("button").addEventListener("click", ({ target }) => act(target, () => follow([...chosen(), slug])));
  return item;
}

function copy(id) {
  return document.getElementById(id).content.cloneNode(true).firstElementChild;
}

// --- Changes ---

function chosen() {
  return Array.from(form.querySelectorAll("[name=topic]:checked"), (box) => box.value);
}

/** Follow exactly these topics; the browser asks for permission the first time. Return the result to tell. */
async function follow(topics) {
  if (!topics.length && !followed.length) return "none";
  if ((await Notification.requestPermission()) !== "granted") return "";
  const answer = await inTurn(() => tell({ topics }));
  reflect(answer);
  return answer.topics.length ? "saved" : "stopped";
}

async function stop() {
  await post(unsubscribeFrom, { endpoint: known, topics: followed });
  reflect({ topics: [] });
  return "stopped";
}

async function act(button, action) {
  button.ariaBusy = "true";
  const told = await action().catch(explain);
  button.ariaBusy = null;
  show(told);
  if (!button.isConnected || button.hidden) save.focus(); // the focus must not fall back to the top of the page
}

function explain(error) {
  for (const element of form.querySelectorAll("[data-detail]")) element.textContent = error.message;
  return error instanceof Refused ? "refused" : "failed";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  act(save, () => follow(chosen()));
});
document.getElementById("stop").addEventListener("click", ({ target }) => act(target, () => inTurn(stop)));
show();
fieldset.disabled = save.disabled = true; // until the ticks are right
look().catch(() => {}).finally(() => show()); // offline, for example: the boxes are still there
