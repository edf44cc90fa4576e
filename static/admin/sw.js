/**
 * The dashboard's service worker, behind the part that it shares with the visitors' one (push/worker.js). It tells open
 * pages of a push, opens clicked notifications in the dashboard, and shows a page of its own without a network.
 */

const HOME = self.registration.scope;
const LOCK = `feedback-push${SITE_PATH}`; // of open tabs too, in subscription-sync.js

// --- A push ---

/** Notify the open pages of the dashboard, so that they can fetch new messages, and set the number on its icon. */
async function tellWindows({ app_badge, notification }) {
  const count = app_badge ?? notification?.app_badge;
  for (const window of await ownWindows()) window.postMessage({ type: "push" });
  if (count === undefined) return;
  await self.navigator.setAppBadge?.(Number(count)).catch(() => {}); // refused unless the dashboard is installed
}

async function ownWindows() {
  return (await allWindows()).filter((window) => window.url.startsWith(self.registration.scope));
}

// --- A click ---

function mayOpen({ origin }) {
  return origin === self.location.origin;
}

async function goTo(address) {
  const [dashboard] = await ownWindows();
  return dashboard ? moveTo(address, dashboard) : self.clients.openWindow(address);
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

// --- A subscription that expires ---

// Do not use the event's newSubscription: a tab may have replaced it in its turn.
async function renew({ oldSubscription }) {
  const { key, token } = await serverKey();
  const renewed = await subscription(key);
  const old = oldSubscription?.endpoint;
  const body = { ...renewed.toJSON(), applicationServerKey: keyOf(renewed), replaces: old };
  await post(`${SITE_PATH}/push/subscribe`, body, token);
  if (old && old !== renewed.endpoint) await post(`${SITE_PATH}/push/unsubscribe`, { endpoint: old }, token);
}

async function serverKey() {
  const response = await request(`${SITE_PATH}/push/key`);
  const { applicationServerKey } = await response.json();
  return { key: applicationServerKey, token: response.headers.get("X-CSRFToken") };
}

function post(url, body, token) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  return request(url, { method: "POST", headers, body: JSON.stringify(body) });
}

// --- Offline: cache two public pages and their styles, and nothing else, because everything else is private ---

const KEPT = `offline${SITE_PATH}`; // the sites of an origin share its caches

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
  const cache = await caches.open(KEPT);
  return (await cache.match(wanted)) ?? Response.error();
}
