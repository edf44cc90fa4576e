/** Counts the selected messages, selects all of a page, and clears the selection. */

const form = document.getElementById("selection");
const shown = document.getElementById("selected");
const news = document.getElementById("news");

function boxes(which = "") {
  return [...form.querySelectorAll(`#messages [type=checkbox]${which}`)];
}

function count() {
  const selected = boxes(":checked").length;
  shown.textContent = shown.dataset.words.replace("{}", selected);
  shown.parentElement.dataset.selected = selected; // all that a phone has room for
}

function announce() {
  count();
  news.textContent = shown.textContent;
}

function select(chosen, checked) {
  for (const box of chosen) box.checked = checked;
  announce();
}

function selectAll(event) {
  event.preventDefault();
  select(boxes(), boxes(":not(:checked)").length > 0);
}

function clear(event) {
  event.preventDefault();
  const [first] = boxes(":checked");
  select(boxes(":checked"), false);
  first?.focus(); // what was clicked is hidden now
}

form.addEventListener("change", announce);
document.getElementById("select-all")?.addEventListener("click", selectAll);
document.getElementById("clear").addEventListener("click", clear);
addEventListener("pageshow", count); // a page may come back with its boxes checked
count();
// On a phone the lists are a line that scrolls.
document.querySelector(".lists [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
