/** Keeps the delivery histories on a message's page up to date, open or closed, while a delivery is in progress. */

import { showLocalTimes } from "./local-times.js";

const BETWEEN_LOOKS = 3_000;
const AFTER_A_PUSH = 500; // time for the device's own receipt to reach the server

/** Fetch a part of the page. Only XMLHttpRequest parses HTML to a document without a Trusted Types policy. */
function fetchDocument(address) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = BETWEEN_LOOKS;
    request.onloadend = () => resolve(request.status === 200 ? request.response : null);
    request.send();
  });
}

function watch(id) {
  let section = document.getElementById(id);
  let asReceived = null;
  let timer = null;

  async function look() {
    const found = await fetchDocument(section.dataset.address);
    const fresh = found?.getElementById(id);
    if (fresh && !(asReceived && fresh.isEqualNode(asReceived))) replaceWith(fresh);
    lookAgainIn(BETWEEN_LOOKS);
  }

  function replaceWith(fresh) {
    asReceived = fresh;
    const shown = document.importNode(fresh, true);
    showLocalTimes(shown);
    const details = shown.querySelector("details");
    details.open = section.querySelector("details").open;
    const isFocused = section.contains(document.activeElement);
    section.replaceWith(shown);
    section = shown;
    if (isFocused) details.querySelector("summary").focus({ preventScroll: true });
  }

  function lookAgainIn(milliseconds) {
    clearTimeout(timer);
    if ("moving" in section.dataset && !document.hidden) timer = setTimeout(look, milliseconds);
  }

  document.addEventListener("visibilitychange", () => lookAgainIn(0));
  // A push to this browser concerns the message, or one of its replies that is in progress.
  navigator.serviceWorker?.addEventListener("message", () => {
    if (id === "history" || "moving" in section.dataset) setTimeout(look, AFTER_A_PUSH);
  });
  lookAgainIn(BETWEEN_LOOKS);
}

for (const { id } of document.querySelectorAll(".history")) watch(id);
