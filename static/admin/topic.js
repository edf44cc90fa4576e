/** Suggests the slug of a new topic from its name, until somebody types one; admin/topic_forms.py makes the same. */

const { name, slug } = document.querySelector("form[data-topic]")?.elements ?? {};
const LONGEST = 60;
let isTyped = Boolean(slug?.value);

function suggested(text) {
  const plain = text.toLowerCase().replaceAll("ß", "ss").normalize("NFKD").replace(/\p{M}/gu, "");
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-/, "").slice(0, LONGEST).replace(/-$/, "");
}

name?.addEventListener("input", () => {
  if (!isTyped) slug.value = suggested(name.value);
});
slug?.addEventListener("input", () => (isTyped = slug.value !== ""));
