/** Keyboard shortcuts: a key clicks or focuses the element that names it in data-key; j and k move through the rows. */

const ROWS = "#messages > li";
const IN_A_ROW = `${ROWS} :is(.row-link, .row-undo)`;
const TYPED_IN = "input:not([type=checkbox]), textarea, select, [contenteditable]";
const help = document.getElementById("keys");

const ACTIONS = {
  j: () => moveTo(1),
  k: () => moveTo(-1),
  o: () => current()?.querySelector(".row-link")?.click(),
  x: () => current()?.querySelector("[type=checkbox]").click(),
  "?": () => help.showModal(),
};

function onKey(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || help.open || target.closest?.(TYPED_IN)) return;
  const rows = document.querySelector(ROWS);
  const named = document.querySelector(`[data-key~="${CSS.escape(key)}"]`);
  const action = rows || !named ? (ACTIONS[key] ?? (named && (() => use(named)))) : () => use(named);
  if (!action) return;
  event.preventDefault();
  action();
}

function use(element) {
  if (element.matches("input, select, textarea")) return element.focus();
  if (element.form?.querySelector(ROWS) && !select(element.form)) return;
  element.click();
}

/** Select the focused message if none is selected; return whether there is a message to act on. */
function select(form) {
  if (form.querySelector(":checked")) return true;
  const box = current()?.querySelector("[type=checkbox]");
  if (box) box.checked = true;
  return Boolean(box);
}

function current() {
  return document.activeElement?.closest(ROWS);
}

function moveTo(step) {
  const links = [...document.querySelectorAll(IN_A_ROW)];
  const at = links.findIndex((link) => current()?.contains(link));
  links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)]?.focus();
}

document.addEventListener("keydown", onKey);
