/** Closes an open menu on Escape, on a click beside it, and when the focus moves on. Signing out forgets all drafts. */

import { forgetDrafts } from "./storage.js";

function close(leaves) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (leaves(menu)) menu.open = false;
}

function closeAll() {
  const menu = document.activeElement?.closest("details.menu[open]");
  close(() => true);
  menu?.querySelector("summary").focus();
}

document.addEventListener("click", ({ target }) => close((menu) => !menu.contains(target)));
document.addEventListener("focusin", ({ target }) => close((menu) => !menu.contains(target)));
document.addEventListener("keydown", ({ key }) => key === "Escape" && closeAll());
document.querySelector("form[data-logout]").addEventListener("submit", forgetDrafts);
