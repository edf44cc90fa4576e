/** Keeps the previews of a broadcast up to date while it is typed, and sends its form once. */

const form = document.getElementById("compose");
const previews = [...document.querySelectorAll(".preview")];
const segmenter = new Intl.Segmenter(document.documentElement.lang);
const untitled = form.querySelector('label[for="title"]').textContent;
let sending = false;

/** Cut a text as admin/preview.py does. */
function cut(text, most) {
  const beginning = text.slice(0, most * 40); // a character that people see rarely has more code units
  const parts = [];
  for (const { segment } of segmenter.segment(beginning)) {
    parts.push(segment);
    if (parts.length > most) return `${parts.slice(0, most - 1).join("").trimEnd()}…`;
  }
  return text;
}

function hostOf(address) {
  const url = URL.parse?.(address.trim()) ?? null;
  return url && /^https?:$/.test(url.protocol) ? url.hostname : "";
}

function show() {
  const { title, body, image_url: picture } = form.elements;
  const host = hostOf(picture.value);
  for (const preview of previews) {
    const put = (part, text) => (preview.querySelector(part).textContent = text);
    put(".preview-title", cut(title.value.trim().replace(/\s+/g, " "), Number(preview.dataset.title)) || untitled);
    put(".preview-body", cut(body.value.trim(), Number(preview.dataset.body)));
    preview.querySelector(".preview-picture").hidden = !(host && "picture" in preview.dataset);
    put(".preview-picture bdi", host);
  }
}

/** Two quick presses send one broadcast. A page that Back brings from the cache can send again. */
function onSubmit(event) {
  if (sending) event.preventDefault();
  sending = true;
}

form.addEventListener("input", show);
form.addEventListener("submit", onSubmit);
addEventListener("pageshow", () => (sending = false));
