/** Finds the browser's capabilities, the resulting state of the opt-in, and whether the card should appear. */

const OLDEST_IOS = 1604;
const AFTER_TALKING = ["brave-push-off", "granted-not-subscribed", "on-but-the-server-forgot", "on", "on-but-failing"];

/**
 * @typedef {object} Facts
 * @property {boolean} secure          the page is a secure context
 * @property {boolean} supported       service workers, push and notifications are all there
 * @property {boolean} ios             iPhone or iPad
 * @property {number|null} iosVersion  major * 100 + minor, if the browser reports it
 * @property {boolean} installed       runs as an app from the Home Screen
 * @property {boolean} brave
 * @property {"default"|"denied"|"granted"} permission
 * @property {boolean} subscribed      the browser holds a subscription
 * @property {boolean} known           the server has confirmed it during this visit
 * @property {boolean} failing         the server's pushes to this browser fail
 * @property {Trouble|null} trouble    the error of this visit, if any
 */

/**
 * @typedef {object} Trouble
 * @property {"signed-out"|"no-answer"|"unreachable"|"refused"|"no-address"|"browser"} kind
 * @property {string} [name]    of the browser's error
 * @property {string} [detail]  the message of the server or the browser
 * @property {string} [confirm]  the page that asks who is there, if the server wants to know first
 */

/**
 * @typedef {"insecure"|"unsupported"|"ios-needs-install"|"ios-too-old"|"brave-push-off"|"denied"|"default"|
 *   "granted-not-subscribed"|"on-but-the-server-forgot"|"on"|"on-but-failing"} State
 */

/**
 * Return the state of the opt-in that follows from the facts.
 * @param {Facts} facts
 * @returns {State}
 */
export function decide(facts) {
  if (!facts.secure) return "insecure";
  if (!facts.supported) return whyUnsupported(facts);
  if (facts.permission !== "granted") return facts.permission;
  if (!facts.subscribed) return whyUnsubscribed(facts);
  if (facts.trouble?.kind === "refused") return "on-but-failing";
  if (!facts.known) return "on-but-the-server-forgot";
  return facts.failing ? "on-but-failing" : "on";
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
 * Return the facts that are known without asking the server. Never waits, so the card is right at the first paint.
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
    failing: false,
    trouble: null,
  };
}

function iosVersion(userAgent) {
  const match = /(?:OS |Version\/)(\d+)[._](\d+)/.exec(userAgent);
  return match ? Number(match[1]) * 100 + Number(match[2]) : null;
}

/** Return whether the state is unknown until the browser and the server have synced. */
export function isOpen({ secure, supported, permission }) {
  return secure && supported && permission === "granted";
}

/**
 * Return the probable state of this visit, from the state of the last one.
 * @param {Facts} facts  as gathered
 * @param {{choice: "on"|"off"|null, lastState: string|null, failing: boolean}} memory  `failing` if the server says
 *   so of the endpoint that it was sent last
 * @returns {State|"checking"}
 */
export function guess(facts, { choice, lastState, failing }) {
  if (!isOpen(facts)) return decide(facts);
  if (choice !== "off" && failing) return "on-but-failing";
  if (choice !== "off" && AFTER_TALKING.includes(lastState)) return lastState;
  return choice === "on" ? "checking" : "granted-not-subscribed";
}

/**
 * Return whether the card has something to say on a page where it is a guest, such as the inbox.
 * @param {State|"checking"} state
 * @param {{newest: number, putAside: string|null, clicked: boolean, stands: boolean|null}} page  `newest` is the newest
 *   unread message, `putAside` the newest one at "Not now", `clicked` is true if the state follows from a click on this
 *   page, `stands` is true if the card is visible after the first sync: a later change would move the page
 */
export function speaksUp(state, { newest, putAside, clicked, stands }) {
  if (stands !== null && !clicked) return stands;
  if (clicked || state === "on-but-failing" || state === "on-but-the-server-forgot") return true;
  if (state === "on" || state === "checking") return false;
  return putAside === null || newest > Number(putAside);
}

/** Return the browser's family. The browsers of a family have their settings in the same place. */
export function browserFamily({ ios }, userAgent = navigator.userAgent) {
  if (ios) return "ios";
  const android = userAgent.includes("Android") ? "-android" : "";
  if (userAgent.includes("Firefox/")) return `firefox${android}`;
  return userAgent.includes("Chrome/") ? `chromium${android}` : "safari";
}
