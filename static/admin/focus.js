/** Moves the focus to the next row when the element that had it is gone: after an action, and after “Not now”. */

import { SITE_PATH } from "../push/site.js";

const IN_A_ROW = ".row-link, .row-undo";
const KEY = `feedback-push${SITE_PATH}.next-rows`; // the rows to focus after an action, in order of preference

/** Focus the first row of the list, or the page's content if there is none. */
export function moveOn() {
  focus(document.querySelector(`#messages > li :is(${IN_A_ROW})`));
}

/** Remember the rows that an action is for, then those after them, then those before. */
function remember({ submitter, target }) {
  if (!["move", "restore"].includes(submitter?.name)) return;
  const rows = [...target.querySelectorAll("#messages > li")];
  const chosen = rows.filter((row) => row.contains(submitter) || (submitter.name === "move" && row.querySelector(":checked")));
  const last = rows.lastIndexOf(chosen.at(-1));
  const others = [...rows.slice(last + 1), ...rows.slice(0, last + 1).reverse()];
  sessionStorage.setItem(KEY, JSON.stringify([...chosen, ...others].map((row) => row.querySelector("[name=id]").value)));
}

/** After an action, focus its row if it is still in the list, or the nearest one that is. An undo has the same rows. */
function comeBack() {
  if (!document.querySelector(".undo") || document.activeElement !== document.body) return;
  const ids = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  const row = ids.map((id) => document.getElementById(`from-${id}`)).find(Boolean)?.closest("li");
  row ? focus(row.querySelector(IN_A_ROW)) : moveOn();
}

function focus(element) {
  (element ?? document.getElementById("main")).focus({ focusVisible: true });
}

document.addEventListener("submit", remember);
comeBack();
