/** Shows the times of a page in the reader's own zone and habit; the UTC time stays in the title. */

const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** @param {Document|Element} root  where the times are */
export function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = format.format(new Date(time.dateTime));
}

showLocalTimes(document);
