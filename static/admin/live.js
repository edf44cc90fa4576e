/** Shows new messages without a reload: rows of the list, and counts on the page, in its title and on the app icon. */

import { showLocalTimes } from "./local-times.js";

const EVERY = 10_000;
const ANSWER_WITHIN = 10_000;

const { news } = document.getElementById("live").dataset;
const list = document.getElementById("messages");
const title = document.title.replace(/^\(\d+\) /, "");
let looking = Promise.resolve();
let waiting = false;

/** Ask the server. Any number of calls in the meantime, as after a sleep, cause one more request after the answer. */
function look() {
  if (waiting) return;
  waiting = true;
  looking = looking.then(ask).catch(() => {}); // the next request tries again
}

async function ask() {
  waiting = false;
  // Do not follow a redirect to the sign-in page: its cookie would not match a sign-in form that is already open.
  const response = await fetch(address(), { redirect: "manual", signal: AbortSignal.timeout(ANSWER_WITHIN) });
  if (response.type === "opaqueredirect") return clearInterval(timer);
  if (!response.ok) return;
  const updates = await response.json();
  count(updates);
  if (list && updates.messages.length) show(updates);
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
  for (const number of document.querySelectorAll("[data-count]")) number.textContent = counts[number.dataset.count];
  badge(unread);
}

function badge(unread) {
  const shown = unread ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.();
  shown?.catch(() => {}); // refused unless the dashboard is installed
}

function show({ messages, said }) {
  const missing = messages.filter(({ id }) => !document.getElementById(`from-${id}`));
  list.prepend(...missing.map(row));
  list.dataset.newest = Math.max(list.dataset.newest, ...messages.map(({ id }) => id));
  document.getElementById("selection").hidden = false;
  document.getElementById("empty")?.remove();
  if (said) document.getElementById("news").textContent = said;
}

function row({ id, name, excerpt, at, address, isNew }) {
  const made = document.getElementById("row").content.cloneNode(true);
  const [item, link, box, time] = ["li", ".row-link", "input", "time"].map((selector) => made.querySelector(selector));
  item.classList.toggle("unread", isNew);
  item.classList.add("arrived");
  if (!isNew) item.querySelector(".pill").remove();
  link.id = `from-${id}`;
  link.href = address;
  link.firstElementChild.textContent = name;
  box.value = id;
  box.setAttribute("aria-labelledby", link.id);
  time.dateTime = at;
  item.querySelector(".excerpt").textContent = excerpt;
  showLocalTimes(made);
  return made;
}

function lookIfSeen() {
  if (document.visibilityState === "visible") look();
}

const timer = setInterval(lookIfSeen, EVERY);
document.addEventListener("visibilitychange", lookIfSeen);
navigator.serviceWorker?.addEventListener("message", ({ data }) => data?.type === "push" && look());
badge(Number(document.getElementById("live").dataset.unread));
