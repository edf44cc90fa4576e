/** Says on a page that its session has ended or that the site cannot be reached, and sends again what was not sent. */

const RETRY_AFTER = 2_000;
const ANSWER_WITHIN = 10_000;

const banner = globalThis.document?.getElementById("connection");
let failures = 0;
let retry = null;
let isUnreachable = false;
let unsent = null; // the form that was not sent, and its button

export function sessionEnded() {
  failures = 0;
  isUnreachable = false;
  say(unsent ? "reached" : "ended"); // what was not sent leads to the sign-in page, and goes on from there
}

/** Say that the site did not answer, unless it does after two seconds. */
export function unreachable(askAgain) {
  failures += 1;
  clearTimeout(retry);
  retry = setTimeout(askAgain, RETRY_AFTER);
  if (failures < 2 || isUnreachable) return;
  isUnreachable = true;
  say("unreachable");
}

export function reached() {
  failures = 0;
  isUnreachable = false;
  say(unsent ? "reached" : null);
}

/** Return whether an answer to a background request comes from this site; a proxy answers 502 to 504 in its place. */
export function isAnswer(response) {
  return Boolean(response) && !(response.status >= 502 && response.status <= 504);
}

/** Return whether an answer leads to the sign-in page. */
export function isSignedOut(response) {
  return response.type === "opaqueredirect" || response.status === 401;
}

function say(state) {
  if (!banner) return;
  const covered = banner.parentElement.querySelector("nav");
  for (const text of banner.querySelectorAll("[data-when]")) text.hidden = text.dataset.when !== state;
  banner.hidden = state === null;
  const had = covered.contains(document.activeElement);
  covered.inert = state !== null;
  if (had && state) banner.focus();
}

/** Keep a form back while the site is known to be unreachable; the browser would leave the page and lose it. */
function keepBack(event) {
  if (!isUnreachable || event.defaultPrevented || event.target.method !== "post") return;
  event.preventDefault();
  unsent = { form: event.target, submitter: event.submitter };
  say("unsent");
}

async function sendAgain(button) {
  const { news } = document.getElementById("live").dataset;
  const how = { redirect: "manual", signal: AbortSignal.timeout(ANSWER_WITHIN) };
  button.setAttribute("aria-busy", "true");
  const response = await fetch(news, how).catch(() => null);
  button.removeAttribute("aria-busy");
  if (!isAnswer(response)) return say("unsent");
  const { form, submitter } = unsent;
  leave();
  form.requestSubmit(submitter);
}

function leave() {
  unsent = null;
  reached();
}

banner?.addEventListener("click", ({ target }) => {
  if (target.matches("[data-send-again]")) sendAgain(target);
  if (target.matches("[data-leave]")) leave();
});
if (banner) document.addEventListener("submit", keepBack);
