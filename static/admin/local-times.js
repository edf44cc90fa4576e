/** Shows the times of a page in its language, and in the reader's time zone or else the browser's. */

const { timeZone } = document.getElementById("local-times")?.dataset ?? {};
const format = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  dateStyle: "medium",
  timeStyle: "short",
  timeZone: timeZone || undefined,
});

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || undefined);
// The steps of language.py, in seconds.
const STEPS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];
const NEXT_STEP_AT = 0.85;
const EVERY = 60_000;

/** @param {Document|Element} root  the element that contains the times */
export function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const when = new Date(time.dateTime);
    if ("ago" in time.dataset) showAge(time, when);
    else time.textContent = format.format(when);
  }
}

/** The exact time is there on hover, and in a hidden element for screen readers. */
function showAge(time, when) {
  const exact = format.format(when);
  time.title = exact;
  time.firstChild.data = ago(when);
  time.lastElementChild.textContent = `, ${exact}`;
}

function ago(when) {
  const seconds = (Date.now() - when) / 1000;
  const [unit, length] = STEPS.find(([, length]) => seconds / length >= NEXT_STEP_AT) ?? STEPS.at(-1);
  return relative.format(-Math.max(1, Math.round(seconds / length)), unit);
}

showLocalTimes(document);
setInterval(() => document.hidden || showLocalTimes(document), EVERY);
