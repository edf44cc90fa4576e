/** Prints the page when a button with `data-print` is clicked. */

for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());
