/**
 * The card with which a visitor turns notifications of answers on or off in this browser. Its texts are in
 * templates/visitors/_notifications.html: data-when lists the states that an element belongs to.
 */

import { decide, gather } from "../admin/opt-in.js";
import { SITE_PATH } from "../push/site.js";
import { endpointSentLast, inTurn, post, Refused, send } from "./device.js";

const FOLLOWED = `feedback-push${SITE_PATH}.followed`; // the private links that this browser follows, by their names

const card = document.getElementById("notifications");
const { link, name, unsubscribeFrom } = card?.dataset ?? {};
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

/** Follow the conversation; with an error the card stays as it was. */
async function follow(text) {
  await send({ conversations: [link], with_text: text });
  remember({ ...followed(), [name]: { text } });
}

async function turnOff() {
  const endpoint = endpointSentLast();
  if (endpoint) await post(unsubscribeFrom, { endpoint, conversations: [link] });
  const { [name]: _, ...others } = followed();
  remember(others);
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
