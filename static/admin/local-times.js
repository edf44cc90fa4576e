/** Shows the times of a page in its language, and in the reader's time zone or else the browser's. */

const { timeZone } = document.getElementById("local-times")?.dataset ?? {};
const format = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  dateStyle: "medium",
  timeStyle: "short",
  timeZone: timeZone || undefined,
});

/** @param {Document|Element} root  the element that contains the times */
export function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = format.format(new Date(time.dateTime));
}

showLocalTimes(document);
