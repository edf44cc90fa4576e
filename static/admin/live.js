/** Shows new messages without a reload: rows of the list, and counts on the page, in its title and on the app icon. */

import { isAnswer, isSignedOut, reached, sessionEnded, unreachable } from "./connection.js";
import { showLocalTimes } from "./local-times.js";

const EVERY = 10_000;
const ANSWER_WITHIN = 10_000;
const AT_HAND = 5_000; // after the last movement of the pointer over the list

const { news } = document.getElementById("live").dataset;
const list = document.getElementById("messages");
const arrivals = document.getElementById("arrivals");
const title = document.title.replace(/^\(\d+\) /, "");
let looking = Promise.resolve();
let waiting = false;
let held = null; // messages that came while somebody was at the list
let pointed = -Infinity;

/** Ask the server. Any number of calls in the meantime, as after a sleep, cause one more request after the answer. */
function look() {
  if (waiting) return;
  waiting = true;
  looking = looking.then(ask).catch(() => {}); // the next request tries again
}

async function ask() {
  waiting = false;
  // Do not follow a redirect to the sign-in page: its cookie would not match a sign-in form that is already open.
  const how = { redirect: "manual", signal: AbortSignal.timeout(ANSWER_WITHIN) };
  const response = await fetch(address(), how).catch(() => null);
  if (!isAnswer(response)) return unreachable(lookIfSeen);
  if (isSignedOut(response)) return sessionEnded();
  reached();
  if (!response.ok) return;
  const updates = await response.json();
  count(updates);
  if (list && updates.messages.length) receive(updates);
}

function address() {
  const url = new URL(news, location.href);
  for (const [name, value] of new URLSearchParams(location.search)) if (name !== "before") url.searchParams.set(name, value);
  if (list?.dataset.newest) url.searchParams.set("after", list.dataset.newest);
  return url;
}

function count({ unread, unreadLabel, counts }) {
  document.title = unread ? `(${unread}) ${title}` : title;
  const pill = document.getElementById("unread");
  if (pill) {
    pill.textContent = unreadLabel;
    pill.hidden = !unread;
  }
  for (const number of document.querySelectorAll(".lists [data-count]")) number.textContent = counts[number.dataset.count];
  badge(unread);
}

function badge(unread) {
  const shown = unread ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.();
  shown?.catch(() => {}); // refused unless the dashboard is installed
}

/** Show new messages at once only if that pushes no row away from somebody; otherwise offer them with a button. */
function receive(told) {
  if (!told.messages.some(isMissing)) return;
  if (!isInUse()) return show(told);
  held = told;
  say(told.said);
  if (!told.said) return; // it was late: an older one that was there before
  arrivals.textContent = told.said;
  arrivals.hidden = false;
}

function isMissing({ id }) {
  return !document.getElementById(`from-${id}`);
}

/** Return whether something is focused, selected, scrolled or pointed at. A container that was clicked has no focus. */
function isInUse() {
  if (!list.firstElementChild) return false;
  const focused = document.activeElement?.tabIndex >= 0;
  return focused || scrollY > 0 || performance.now() - pointed < AT_HAND || list.querySelector(":checked") !== null;
}

function bringIn() {
  const [newest] = held.messages;
  show(held);
  document.getElementById(`from-${newest.id}`).focus();
}

function say(words) {
  const place = document.getElementById("news");
  if (words && place.textContent !== words) place.textContent = words;
}

function show({ messages, said }) {
  list.prepend(...messages.filter(isMissing).map(row));
  held = null;
  arrivals.hidden = true;
  list.dataset.newest = Math.max(list.dataset.newest, ...messages.map(({ id }) => id));
  document.getElementById("selection").hidden = false;
  document.getElementById("empty")?.remove();
  say(said);
}

function row({ id, name, excerpt, at, address, isNew, about }) {
  const made = document.getElementById("row").content.cloneNode(true);
  const [item, link, box, time] = ["li", ".row-link", "input", "time"].map((selector) => made.querySelector(selector));
  item.classList.toggle("unread", isNew);
  item.classList.add("arrived");
  if (!isNew) item.querySelector(".row-head > span").remove();
  link.id = `from-${id}`;
  link.href = address;
  link.firstElementChild.append(...name.map(piece));
  box.value = id;
  box.setAttribute("aria-labelledby", link.id);
  time.dateTime = at;
  item.querySelector(".excerpt").append(...excerpt.map(piece));
  if (about.rating || about.pills.length) item.append(answered(about));
  showLocalTimes(made);
  return made;
}

function answered({ rating, symbols, pills }) {
  const line = Object.assign(document.createElement("p"), { className: "tags about" });
  if (rating) {
    const stars = Object.assign(document.createElement("span"), { className: "stars", role: "img", ariaLabel: rating, textContent: symbols });
    line.append(stars, " ");
  }
  for (const pill of pills) line.append(Object.assign(document.createElement("bdi"), { className: "pill", textContent: pill }), " ");
  return line;
}

function piece([text, isFound]) {
  return isFound ? Object.assign(document.createElement("mark"), { textContent: text }) : text;
}

function lookIfSeen() {
  if (document.visibilityState === "visible") look();
}

setInterval(lookIfSeen, EVERY); // also after the session has ended: another tab may sign in again
arrivals?.addEventListener("click", bringIn);
list?.addEventListener("pointermove", () => (pointed = performance.now()), { passive: true });
document.addEventListener("visibilitychange", lookIfSeen);
addEventListener("offline", lookIfSeen);
addEventListener("online", lookIfSeen);
navigator.serviceWorker?.addEventListener("message", ({ data }) => data?.type === "push" && look());
badge(Number(document.getElementById("live").dataset.unread));
