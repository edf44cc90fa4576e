/**
 * The opt-in card of the dashboard: it finds out what this browser can do, shows the words for it
 * (they stand in admin/_push.html) and keeps browser and server agreed about this device.
 */

const ANSWER_WITHIN = 10_000;
const SUBSCRIBE_WITHIN = 30_000;
const SIGN_OUT_WITHIN = 2_000;
const OLDEST_IOS = 1604;

/** The addresses, from the data attributes of the script element. */
const page = globalThis.document?.getElementById("push-script")?.dataset;

/**
 * @typedef {object} Facts
 * @property {boolean} secure          the page is a secure context
 * @property {boolean} supported       service workers, push and notifications are all there
 * @property {boolean} ios             iPhone or iPad
 * @property {number|null} iosVersion  major * 100 + minor, where the browser tells it
 * @property {boolean} installed       runs as an app from the Home Screen
 * @property {boolean} brave
 * @property {"default"|"denied"|"granted"} permission
 * @property {boolean} subscribed      the browser holds a subscription
 * @property {boolean} known           the server has confirmed it during this visit
 * @property {Trouble|null} trouble    what went wrong, if anything did
 */

/**
 * @typedef {object} Trouble
 * @property {"signed-out"|"no-answer"|"unreachable"|"refused"|"browser"} kind
 * @property {string} [name]    of the browser's error
 * @property {string} [detail]  words of the server or the browser
 */

/**
 * The state of the opt-in that the facts add up to.
 * @param {Facts} facts
 * @returns {"insecure"|"unsupported"|"ios-needs-install"|"ios-too-old"|"brave-push-off"|"denied"|"default"|
 *   "granted-not-subscribed"|"on-but-the-server-forgot"|"on"|"on-but-failing"}
 */
export function decide(facts) {
  if (!facts.secure) return "insecure";
  if (!facts.supported) return whyUnsupported(facts);
  if (facts.permission !== "granted") return facts.permission;
  if (!facts.subscribed) return whyUnsubscribed(facts);
  if (facts.trouble?.kind === "refused") return "on-but-failing";
  return facts.known ? "on" : "on-but-the-server-forgot";
}

function whyUnsupported({ ios, iosVersion, installed }) {
  if (!ios) return "unsupported";
  if (iosVersion !== null && iosVersion < OLDEST_IOS) return "ios-too-old";
  return installed ? "unsupported" : "ios-needs-install";
}

function whyUnsubscribed({ brave, trouble }) {
  return brave && trouble?.name === "AbortError" ? "brave-push-off" : "granted-not-subscribed";
}

/**
 * The facts that are known without asking the server; never waits, so that the card is right at the first paint.
 * @returns {Facts}
 */
export function gather() {
  const ipadAsMac = navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1;
  const ios = ipadAsMac || /iPhone|iPad|iPod/.test(navigator.userAgent);
  return {
    secure: window.isSecureContext,
    supported: "serviceWorker" in navigator && "PushManager" in window && "Notification" in window,
    ios,
    iosVersion: ios ? iosVersion(navigator.userAgent) : null,
    installed: navigator.standalone === true || matchMedia("(display-mode: standalone)").matches,
    brave: "brave" in navigator,
    permission: window.Notification?.permission ?? "default",
    subscribed: false,
    known: false,
    trouble: null,
  };
}

function iosVersion(userAgent) {
  const match = /(?:OS |Version\/)(\d+)[._](\d+)/.exec(userAgent);
  return match ? Number(match[1]) * 100 + Number(match[2]) : null;
}

// --- One visit: bring browser and server to agree, then show the outcome ---

let queue = Promise.resolve();

/** Visits run one after the other, because each reads what the one before has written. */
function visit() {
  queue = queue.then(refresh);
  return queue;
}

async function refresh() {
  const facts = gather();
  const ready = facts.secure && facts.supported && facts.permission === "granted";
  if (!ready) show(facts);
  try {
    await (ready ? connect(facts) : forgetAllBut(null));
  } catch (error) {
    facts.trouble = asTrouble(error);
  }
  if (ready) show(facts);
  return facts;
}

/** Fills in the facts step by step, so that they are true as far as it came when a step throws. */
async function connect(facts) {
  const manager = await pushManager();
  const found = await manager.getSubscription();
  facts.subscribed = found !== null;
  const wanted = choice.get() === "on" || (found !== null && choice.get() !== "off");
  const key = wanted ? await serverKey() : null;
  const kept = found && key === keyOf(found) ? found : null;
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

function subscribe(manager, key) {
  return within(SUBSCRIBE_WITHIN, manager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
}

/** Browser and server at once, so that neither has to wait for the other when somebody signs out. */
async function cancel(subscription, facts) {
  lastEndpoint.set(subscription.endpoint);
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
  await post(page.subscribe, subscription);
  lastEndpoint.set(subscription.endpoint);
  if (choice.get() === null) choice.set("on"); // "off" may have been clicked in the meantime
  facts.known = true;
}

function keyOf(subscription) {
  const bytes = new Uint8Array(subscription.options.applicationServerKey ?? []);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// --- The server ---

async function serverKey() {
  return (await request(page.key)).applicationServerKey;
}

function post(url, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
  return request(url, { method: "POST", headers, body: JSON.stringify(body) });
}

async function request(url, options) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN);
  const response = await fetch(url, { credentials: "same-origin", signal, ...options }).catch(unreachable);
  const body = await response.json().catch(() => null);
  if (response.status === 401) throw new RequestError("signed-out");
  if (response.status >= 500) throw new RequestError("unreachable");
  if (!response.ok || !body) throw new RequestError("refused", body?.error ?? `HTTP ${response.status}`);
  return body;
}

function unreachable(error) {
  throw error.name === "TimeoutError" ? error : new RequestError("unreachable");
}

class RequestError extends Error {
  constructor(kind, detail) {
    super(detail ?? kind);
    this.trouble = { kind, detail };
  }
}

function asTrouble(error) {
  if (error instanceof RequestError) return error.trouble;
  if (error.name === "TimeoutError") return { kind: "no-answer" };
  return { kind: "browser", name: error.name, detail: `${error.name}: ${error.message}` };
}

function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]').content;
}

function within(milliseconds, promise) {
  const late = new DOMException("no answer in time", "TimeoutError");
  return Promise.race([promise, new Promise((_, reject) => setTimeout(reject, milliseconds, late))]);
}

// --- What this browser remembers between visits ---

/** The endpoint that the server was given last: to be dropped there when the browser no longer has it. */
const lastEndpoint = remembered("feedback-push.endpoint");

/** "on" or "off", as the person chose on this device: only "on" may subscribe again without a click. */
const choice = remembered("feedback-push.choice");

function remembered(name) {
  return {
    get: () => localStorage.getItem(name),
    set: (value) => localStorage.setItem(name, value),
    remove: () => localStorage.removeItem(name),
  };
}

// --- The card ---

function show(facts) {
  const card = document.getElementById("push");
  if (!card) return;
  const state = decide(facts);
  const focused = document.activeElement;
  reveal(card, "when", (states) => states.split(" ").includes(state));
  reveal(card, "browser", (browser) => browser === browserFamily(facts));
  reveal(card, "trouble", (kind) => kind === facts.trouble?.kind);
  for (const element of card.querySelectorAll("[data-detail]")) element.textContent = facts.trouble?.detail ?? "";
  card.dataset.state = state;
  // The button that was clicked may be gone now, and the focus must not fall back to the top of the page.
  if (card.contains(focused) && focused.hidden) card.focus();
}

/** Among the devices this one is turned off with its card: merely removed, it would be back at the next visit. */
function markThisDevice() {
  for (const row of document.querySelectorAll("[data-endpoint]")) {
    const here = row.dataset.endpoint === lastEndpoint.get();
    row.querySelector(".this-device").hidden = !here;
    row.querySelector("form").hidden = here;
  }
}

function reveal(card, name, fits) {
  for (const element of card.querySelectorAll(`[data-${name}]`)) element.hidden = !fits(element.dataset[name]);
}

function browserFamily({ ios }) {
  if (ios) return "ios";
  if (navigator.userAgent.includes("Firefox/")) return "firefox";
  return navigator.userAgent.includes("Chrome/") ? "chromium" : "safari";
}

// --- Clicks and events ---

let asking = false;

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

function listDevicesAnew() {
  if (document.querySelector("[data-devices]")) location.reload();
}

/** Signing out takes this device off the list, but never waits long for that. */
async function leave(event) {
  event.preventDefault();
  choice.set("off");
  await within(SIGN_OUT_WITHIN, visit()).catch(() => {});
  event.target.submit();
}

function onClick(id, action) {
  const button = document.getElementById(id);
  button?.addEventListener("click", async () => {
    button.ariaBusy = "true";
    await action().finally(() => (button.ariaBusy = null));
  });
}

async function watchPermission() {
  const status = await navigator.permissions?.query({ name: "notifications" });
  // While our own question is open, its answer comes back to turnOn.
  status?.addEventListener("change", () => asking || visit());
}

function start() {
  onClick("push-enable", turnOn);
  onClick("push-disable", turnOff);
  onClick("push-recheck", visit);
  document.querySelector("form[data-logout]").addEventListener("submit", leave, { once: true });
  watchPermission();
  navigator.clearAppBadge?.(); // whoever sees the dashboard need not be told that there is news
  markThisDevice();
  visit();
}

if (page) start();
