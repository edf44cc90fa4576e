/** Polls for the result of a test notification on the devices page, and shows it. */

const BETWEEN_LOOKS = 500;

const place = document.querySelector("[data-test]");

async function look() {
  const response = await fetch(place.dataset.test, { redirect: "manual" }).catch(() => null);
  if (response?.type === "opaqueredirect") return; // to the sign-in page
  const result = response?.ok ? await response.json() : null;
  if (result && place.textContent !== result.text) place.textContent = result.text;
  if (!result?.final) setTimeout(look, BETWEEN_LOOKS);
}

if (place) look();
