/** Polls for the result of a test notification on the devices page, and shows it. */

const BETWEEN_LOOKS = 500;

const place = document.querySelector("[data-test]");

async function look() {
  const response = await fetch(place.dataset.test, { redirect: "manual" }).catch(() => null);
  if (response?.type === "opaqueredirect") return; // to the sign-in page
  const told = response?.ok ? await response.json() : null;
  if (told && place.textContent !== told.words) place.textContent = told.words;
  if (!told?.final) setTimeout(look, BETWEEN_LOOKS);
}

if (place) look();
