/** Shows the times of a page in its language, and in the zone that its reader has set or else the browser's. */

const { timeZone } = document.getElementById("local-times")?.dataset ?? {};
const format = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  dateStyle: "medium",
  timeStyle: "short",
  timeZone: timeZone || undefined,
});

/** @param {Document|Element} root  where the times are */
export function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = format.format(new Date(time.dateTime));
}

showLocalTimes(document);
