/** Keeps the progress of a broadcast up to date, and loads the page again when its state has changed. */

import { isAnswer, isSignedOut, reached, sessionEnded, unreachable } from "./connection.js";

const section = document.getElementById("progress");
const bar = section.querySelector("progress");
const ANSWER_WITHIN = 30_000; // a million devices take seconds to count
let timer = null;

async function look() {
  const how = { redirect: "manual", signal: AbortSignal.timeout(ANSWER_WITHIN) };
  const response = await fetch(section.dataset.address, how).catch(() => null);
  if (!isAnswer(response)) return unreachable(look);
  if (isSignedOut(response)) return sessionEnded();
  reached();
  if (!response.ok) return;
  show(await response.json());
}

function show(progress) {
  if (progress.state !== section.dataset.state) return changed();
  bar.value = progress.percent;
  for (const part of section.querySelectorAll("[data-part]")) {
    const text = progress[part.dataset.part];
    if (part.textContent !== text) part.textContent = text;
  }
  lookAgainIn(progress.again_in);
}

/** An open confirmation stays open: the page is loaded again when it is closed. */
function changed() {
  const confirmation = section.querySelector("details[open]");
  if (!confirmation) return location.reload();
  confirmation.addEventListener("toggle", () => location.reload(), { once: true });
}

function lookAgainIn(milliseconds) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, milliseconds);
}

document.addEventListener("visibilitychange", () => lookAgainIn(0));
lookAgainIn(Number(section.dataset.againIn));
