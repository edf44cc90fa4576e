/** The dashboard's service worker: shows what is pushed, opens what is clicked, renews what expires. */

const GENERIC = { title: "New feedback", body: "Open the inbox to read it." };
const ICON = "/static/icons/icon-192.png";
const ANSWER_WITHIN = 10_000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(announce(event.data)));
self.addEventListener("notificationclick", (event) => event.waitUntil(open(event.notification)));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));

// Every push must show something, or browsers take the subscription away: so nothing here waits for the network.
async function announce(data) {
  const payload = parse(data);
  const notification = payload.notification ?? GENERIC;
  await show(notification).catch(() => show(GENERIC));
  await badge(payload.app_badge ?? notification.app_badge);
}

function parse(data) {
  try {
    return data.json() ?? {};
  } catch {
    return {};
  }
}

function show({ title, body, tag, lang, dir, icon = ICON, navigate }) {
  return self.registration.showNotification(title ?? GENERIC.title, { body, tag, lang, dir, icon, data: { navigate } });
}

async function badge(count) {
  if (count === undefined) return;
  await self.navigator.setAppBadge?.(Number(count)).catch(() => {}); // refused where the dashboard is not installed
}

async function open(notification) {
  notification.close();
  const address = ownAddress(notification.data?.navigate);
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((window) => window.url === address);
  if (there) return there.focus();
  const dashboard = windows.find((window) => window.url.startsWith(self.registration.scope));
  return dashboard ? moveTo(address, dashboard) : self.clients.openWindow(address);
}

/** The address to open, or the inbox where it is missing, broken or leads to another site. */
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

async function renew({ oldSubscription, newSubscription }) {
  const { key, token } = await serverKey();
  const options = { userVisibleOnly: true, applicationServerKey: key };
  const subscription = newSubscription ?? (await self.registration.pushManager.subscribe(options));
  await post("/push/subscribe", subscription, token);
  if (oldSubscription) await post("/push/unsubscribe", { endpoint: oldSubscription.endpoint }, token);
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
