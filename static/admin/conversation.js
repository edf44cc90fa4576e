/** The reply box: it is focused at #answer, Ctrl+Enter sends it, and this browser keeps its text until it is sent. */

import { draft } from "./storage.js";

const form = document.getElementById("reply");
const text = form.elements.content;
const kept = draft(form.dataset.message);
let sending = false;

/** Show the kept text, unless the box has just been sent or the server has shown a refused text again. */
function restore() {
  if ("sent" in form.dataset) return kept.remove();
  const unsent = kept.get();
  if (!unsent || text.value) return;
  text.value = unsent;
  document.getElementById("draft-kept").hidden = false;
}

function keep() {
  text.value.trim() ? kept.set(text.value) : kept.remove();
}

function onKey(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.repeat || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
}

/** Two quick presses send one answer. A page that Back brings from the cache can send again. */
function onSubmit(event) {
  if (sending) event.preventDefault();
  sending = true;
}

function focusBox() {
  text.focus({ preventScroll: true });
  form.scrollIntoView({ block: "center" });
}

function focusIfNamed() {
  if (location.hash === "#answer") focusBox();
  if (location.hash === "#latest") document.getElementById("latest")?.focus();
}

restore();
text.addEventListener("input", keep);
text.addEventListener("keydown", onKey);
form.addEventListener("submit", onSubmit);
addEventListener("pageshow", () => (sending = false));
addEventListener("hashchange", focusIfNamed);
for (const link of document.querySelectorAll('a[href="#answer"]')) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    focusBox();
  });
}
focusIfNamed();
