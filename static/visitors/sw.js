/**
 * The visitors' service worker, behind the part that it shares with the dashboard's (push/worker.js). No page is in its
 * scope: it opens private pages and tells open ones of an answer, and it opens the links of broadcasts, which lead to any
 * site. A browser's session plays no part in it.
 */

const HOME = new URL("../", self.registration.scope).href;
const LOCK = `feedback-push-visitor${SITE_PATH}`; // of open tabs too, in notifications.js

function mayOpen({ protocol }) {
  return ["https:", "http:"].includes(protocol);
}

/** Tell the open private page that the notification leads to, so that it can show the answer. */
async function tellWindows({ notification }) {
  for (const window of await windowsAt(addressOf(notification?.navigate))) window.postMessage({ type: "answer" });
}

async function goTo(address) {
  const [open] = await windowsAt(address);
  return open ? open.focus() : self.clients.openWindow(address);
}

/** Return the windows that show a page, at any place within it. */
async function windowsAt(address) {
  return (await allWindows()).filter(({ url }) => url.split("#")[0] === address);
}

/** Give the server the new address instead of the old one, whose conversations it keeps. */
async function renew({ oldSubscription }) {
  const { applicationServerKey } = await (await request(`${SITE_PATH}/visitor/push/key`, { credentials: "omit" })).json();
  const renewed = await subscription(applicationServerKey);
  const sent = { ...renewed.toJSON(), applicationServerKey: keyOf(renewed) };
  const body = JSON.stringify({ subscription: sent, replaces: oldSubscription?.endpoint ?? "" });
  const headers = { "Content-Type": "application/json" };
  await request(`${SITE_PATH}/visitor/push/subscribe`, { method: "POST", headers, body, credentials: "omit" });
}
