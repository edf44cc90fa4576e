/** Offers the browser's own time zone if another one is chosen. */

const zones = document.querySelector("#time_zone");
const offer = document.querySelector("#own-zone");
const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;

function refresh() {
  const known = [...zones.options].some(({ value }) => value === own);
  offer.hidden = !known || zones.value === own;
}

offer.querySelector("bdi").textContent = own;
offer.querySelector("button").addEventListener("click", () => {
  zones.value = own;
  refresh();
  zones.focus();
});
zones.addEventListener("change", refresh);
refresh();
