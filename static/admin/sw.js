/**
 * The dashboard's service worker. It shows notifications, reports that they were shown, opens clicked ones, and renews
 * expired subscriptions. The server puts two constants in front: its texts in the reader's language, and the
 * notifications' icon: const TEXTS = {lang, title, body, actions}; const ICON = address.
 */

const ANSWER_WITHIN = 10_000;
const PATIENCE = 5_000;
const REPORT_WITHIN = 4_000; // iOS counts a push as shown only while it is handled in less than about 5 seconds

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(announce(event.data)));
self.addEventListener("notificationclick", (event) => event.waitUntil(answer(event)));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renewInTurn(event)));

// --- A push ---

// Every push must show something, or browsers revoke the subscription. So show it before any request.
async function announce(data) {
  const payload = parse(data);
  const notification = payload.notification ?? {};
  const receipt = notification.data?.receipt;
  await show(notification, receipt).catch(() => show({}, receipt));
  await Promise.all([report(receipt, "shown"), tellWindows(), badge(payload.app_badge ?? notification.app_badge)]);
}

function parse(data) {
  try {
    return data.json() ?? {};
  } catch {
    return {};
  }
}

async function show({ title, body, tag, lang, dir, icon = ICON, navigate, actions }, receipt) {
  const generic = title ? {} : TEXTS;
  const data = { receipt, navigate, actions };
  const texts = { body: body ?? generic.body, lang: lang ?? generic.lang, dir };
  const options = { ...texts, tag, icon, data, actions: buttons(actions) };
  return self.registration.showNotification(title ?? TEXTS.title, options);
}

function buttons(actions) {
  return actions?.map(({ action, title }) => ({ action, title: TEXTS.actions[action] ?? title }));
}

async function badge(count) {
  if (count === undefined) return;
  await self.navigator.setAppBadge?.(Number(count)).catch(() => {}); // refused unless the dashboard is installed
}

/** Notify the open pages of the dashboard, so that they can fetch new messages. */
async function tellWindows() {
  for (const window of await ownWindows()) window.postMessage({ type: "push" });
}

// --- A click ---

/** Open the window first and without delay: a browser opens none long after the click. */
async function answer({ notification, action }) {
  notification.close();
  const { receipt, navigate, actions } = notification.data ?? {};
  const chosen = actions?.find((button) => button.action === action);
  await Promise.all([open(ownAddress(chosen?.navigate ?? navigate)), report(receipt, "clicked")]);
}

async function open(address) {
  const windows = await ownWindows();
  const there = windows.find((window) => window.url === address);
  if (there) return there.focus();
  return windows.length ? moveTo(address, windows[0]) : self.clients.openWindow(address);
}

/** Return the address to open, or the inbox if the address is missing, broken or on another site. */
function ownAddress(navigate) {
  try {
    const address = new URL(navigate);
    if (address.origin === self.location.origin) return address.href;
  } catch {}
  return self.registration.scope;
}

// A window that this worker does not control yet cannot be navigated.
async function moveTo(address, dashboard) {
  try {
    const arrived = await dashboard.navigate(address);
    return await arrived.focus();
  } catch {
    return self.clients.openWindow(address);
  }
}

async function ownWindows() {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  return windows.filter((window) => window.url.startsWith(self.registration.scope));
}

// --- Receipts ---

/** Send a receipt, without cookies because the token is enough. Ignore errors: nothing on screen depends on it. */
async function report(token, event) {
  if (!token) return;
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ token, event });
  const how = { method: "POST", headers, body, credentials: "omit", keepalive: true };
  await fetch("/push/receipt", { ...how, signal: AbortSignal.timeout(REPORT_WITHIN) }).catch(() => {});
}

// --- A subscription that expires ---

/** Renew in turn with open tabs, which do the same; a frozen tab causes no long wait (subscription-sync.js). */
function renewInTurn(event) {
  const { locks } = self.navigator;
  if (!locks) return renew(event);
  let renewal;
  const once = () => (renewal ??= renew(event));
  return locks.request("feedback-push", { signal: AbortSignal.timeout(PATIENCE) }, once).catch(once);
}

// Do not use the event's newSubscription: a tab may have replaced it in its turn.
async function renew({ oldSubscription }) {
  const { key, token } = await serverKey();
  const options = { userVisibleOnly: true, applicationServerKey: key };
  const { pushManager } = self.registration;
  const found = await pushManager.getSubscription();
  const lost = found && new URL(found.endpoint).hostname.endsWith(".invalid"); // as in subscription-sync.js
  if (lost) await found.unsubscribe();
  const subscription = found && !lost ? found : await pushManager.subscribe(options);
  await post("/push/subscribe", { ...subscription.toJSON(), applicationServerKey: keyOf(subscription) }, token);
  const old = oldSubscription?.endpoint;
  if (old && old !== subscription.endpoint) await post("/push/unsubscribe", { endpoint: old }, token);
}

function keyOf({ options }) {
  const bytes = new Uint8Array(options.applicationServerKey);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function serverKey() {
  const response = await request("/push/key");
  const { applicationServerKey } = await response.json();
  return { key: applicationServerKey, token: response.headers.get("X-CSRFToken") };
}

function post(url, body, token) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  return request(url, { method: "POST", headers, body: JSON.stringify(body) });
}

async function request(url, options) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN);
  const response = await fetch(url, { credentials: "same-origin", signal, ...options });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

// --- Offline: cache two public pages and their styles, and nothing else, because everything else is private ---

const KEPT = "offline";

self.addEventListener("install", (event) => event.waitUntil(keepOfflinePage().catch(() => {}))); // push works without
self.addEventListener("fetch", (event) => {
  const { mode, destination, method } = event.request;
  if (mode === "navigate") event.respondWith(fetch(event.request).catch(() => kept(offlinePage(method))));
  else if (destination === "style") event.respondWith(fetch(event.request).catch(() => kept(event.request)));
});

/** Return the address of the page for a request that failed; for a form it says that nothing was confirmed. */
function offlinePage(method) {
  return `${self.registration.scope}offline${method === "POST" ? "?unsent" : ""}`;
}

async function keepOfflinePage() {
  const [page, unsent] = await Promise.all([request(offlinePage("GET")), request(offlinePage("POST"))]);
  const html = await page.clone().text();
  const styles = [...html.matchAll(/<link rel="stylesheet" href="([^"]+)"/g)].map(([, address]) => address);
  await caches.delete(KEPT);
  const cache = await caches.open(KEPT);
  await Promise.all([
    cache.put(offlinePage("GET"), page),
    cache.put(offlinePage("POST"), unsent),
    cache.addAll(styles),
  ]);
}

async function kept(wanted) {
  return (await caches.match(wanted)) ?? Response.error();
}
