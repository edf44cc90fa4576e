/** Sends a test notification to this browser, and polls for the result of a test until it is final. */

import { post } from "./server.js";

const BETWEEN_LOOKS = 500;

/** Send a test to the browser with this endpoint; return the address of the result. */
export async function send(address, endpoint) {
  return (await post(address, { endpoint })).result;
}

/** Show the result of a test in an element, until it is final or `stopped()` is true. */
export async function follow(address, place, stopped = () => false) {
  const response = await fetch(address, { redirect: "manual" }).catch(() => null);
  if (stopped() || response?.type === "opaqueredirect") return; // the redirect leads to the sign-in page
  const result = response?.ok ? await response.json() : null;
  if (result && place.textContent !== result.text) place.textContent = result.text;
  if (!result?.final) setTimeout(follow, BETWEEN_LOOKS, address, place, stopped);
}
