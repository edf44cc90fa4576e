/** Shows in the preview what somebody types about a form. The server reads it all; this only makes the elements. */

const editor = document.querySelector("#editor");
const preview = document.querySelector("#form-preview");
const language = document.querySelector("#preview_language");
const PAUSE = 300; // after the last letter
const PATIENCE = 10_000;
let waiting = null;
let asked = 0;

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(Boolean));
  return made;
};

function rating({ label, choices }) {
  const stars = choices.map((choice) =>
    element("label", { title: choice.label }, element("input", { type: "radio" }), element("span", { className: "symbol", textContent: choice.symbol }), choices.length === 5 ? null : element("span", { textContent: choice.label })),
  );
  return element("fieldset", { className: "rating" }, element("legend", { textContent: label }), element("div", {}, ...stars));
}

function input({ kind, choices, placeholder }) {
  if (kind === "long-text") return element("textarea", { rows: 3 });
  if (kind !== "choice") return element("input", { type: kind });
  const labels = [placeholder, ...choices.map((choice) => choice.label)];
  return element("select", {}, ...labels.map((textContent) => element("option", { textContent })));
}

function field(described) {
  if (["stars", "thumbs"].includes(described.kind)) return rating(described);
  return element("div", { className: "field" }, element("label", { textContent: described.label, dir: "auto" }), input(described));
}

function show({ title, intro, button, fields }) {
  const [heading, text, place, send] = preview.children;
  heading.textContent = title;
  text.textContent = intro;
  place.replaceChildren(...fields.map(field));
  send.textContent = button;
  preview.lang = language.value;
}

async function refresh() {
  const turn = ++asked;
  try {
    const body = new URLSearchParams(new FormData(editor));
    const answer = await fetch(editor.dataset.preview, { method: "POST", body, redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.ok && turn === asked) show(await answer.json());
  } catch {
    // The preview stays as it is; saving says what is wrong.
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, PAUSE);
}

editor.addEventListener("input", soon);
language.addEventListener("change", refresh);
