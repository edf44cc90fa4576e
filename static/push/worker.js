/**
 * The part that the dashboard's and the visitors' service workers share. It shows notifications, reports that they were
 * shown, and opens clicked ones. The server puts it in front of each worker, and three constants in front of it: texts
 * in the reader's language, the notifications' icon, and the path under which the site is, "" for a whole origin:
 * const TEXTS = {lang, title, body, actions}; const ICON = address; const SITE_PATH = path.
 * Each worker defines HOME, the address to open where a notification names none; LOCK, the name of the lock that it
 * shares with open tabs; mayOpen(url), for an address that a notification names; tellWindows(payload); goTo(address), for
 * an address that no window shows yet; renew(event).
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
  await Promise.all([report(receipt, "shown"), tellWindows(payload)]);
}

function parse(data) {
  try {
    return data.json() ?? {};
  } catch {
    return {};
  }
}

async function show({ title, body, tag, lang, dir, icon = ICON, image, navigate, actions }, receipt) {
  const generic = title ? {} : TEXTS;
  const data = { receipt, navigate, actions };
  const texts = { body: body ?? generic.body, lang: lang ?? generic.lang, dir };
  const options = { ...texts, tag, icon, image, data, actions: buttons(actions) };
  return self.registration.showNotification(title ?? TEXTS.title, options);
}

function buttons(actions) {
  return actions?.map(({ action, title }) => ({ action, title: TEXTS.actions?.[action] ?? title }));
}

// --- A click ---

/** Open the window first and without delay: a browser opens none long after the click. */
async function answer({ notification, action }) {
  notification.close();
  const { receipt, navigate, actions } = notification.data ?? {};
  const chosen = actions?.find((button) => button.action === action);
  await Promise.all([open(addressOf(chosen?.navigate ?? navigate)), report(receipt, "clicked")]);
}

async function open(address) {
  const there = (await allWindows()).find((window) => window.url === address);
  return there ? there.focus() : goTo(address);
}

/** Return the windows of this site, also those outside the scope of this worker. */
function allWindows() {
  return self.clients.matchAll({ type: "window", includeUncontrolled: true });
}

/** Return the address to open, or HOME if the address is missing or broken, or may not be opened. */
function addressOf(navigate) {
  try {
    const address = new URL(navigate);
    if (mayOpen(address)) return address.href;
  } catch {}
  return HOME;
}

// --- Receipts ---

/** Send a receipt, without cookies because the token is enough. Ignore errors: nothing on screen depends on it. */
async function report(token, event) {
  if (!token) return;
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ token, event });
  const how = { method: "POST", headers, body, credentials: "omit", keepalive: true };
  await fetch(`${SITE_PATH}/push/receipt`, { ...how, signal: AbortSignal.timeout(REPORT_WITHIN) }).catch(() => {});
}

// --- A subscription that expires ---

/** Renew in turn with open tabs, which do the same; a frozen tab causes no long wait (admin/subscription-sync.js). */
function renewInTurn(event) {
  const { locks } = self.navigator;
  if (!locks) return renew(event);
  let renewal;
  const once = () => (renewal ??= renew(event));
  return locks.request(LOCK, { signal: AbortSignal.timeout(PATIENCE) }, once).catch(once);
}

/** Return the browser's subscription; make a new one if there is none, or only an invalid one (push/subscription.js). */
async function subscription(key) {
  const { pushManager } = self.registration;
  const found = await pushManager.getSubscription();
  const lost = found && new URL(found.endpoint).hostname.endsWith(".invalid");
  if (lost) await found.unsubscribe();
  return found && !lost ? found : pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

function keyOf({ options }) {
  const bytes = new Uint8Array(options.applicationServerKey);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// --- Requests ---

async function request(url, options) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN);
  const response = await fetch(url, { credentials: "same-origin", signal, ...options });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}
