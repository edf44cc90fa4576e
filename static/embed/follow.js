/**
 * Defines <feedback-follow topic="slug">, a link to the page where visitors follow the topic, for any site's pages. A
 * link inside the element stays as it is and gets the same look; without this script, it is the whole element.
 */

const FOLLOW = new URL("../follow/", import.meta.url);
const LABELS = { en: "Follow", de: "Folgen", lt: "Sekti" };

// Constructed style sheets need no style-src in the policy of the page.
const style = new CSSStyleSheet();
style.replaceSync(`
  :host { display: inline-block; }
  :host([hidden]) { display: none; }
  a, ::slotted(a) {
    display: inline-block;
    padding: 0.5em 1em;
    border: 1px solid currentcolor;
    border-radius: 0.5em;
    color: inherit;
    font: inherit;
    text-decoration: none;
  }
  a:hover, ::slotted(a:hover) { text-decoration: underline; }
  a:focus-visible, ::slotted(a:focus-visible) { outline: 2px solid currentcolor; outline-offset: 2px; }
`);

class FeedbackFollow extends HTMLElement {
  static observedAttributes = ["topic"];

  #link = document.createElement("a");

  constructor() {
    super();
    const slot = document.createElement("slot"); // its own content shows only while the element is empty
    slot.append(this.#link);
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    root.append(slot);
    this.#link.part = "link";
  }

  connectedCallback() {
    const language = (this.closest("[lang]")?.lang ?? "").slice(0, 2).toLowerCase();
    this.#link.textContent = LABELS[language] ?? LABELS.en;
    this.attributeChangedCallback();
  }

  attributeChangedCallback() {
    this.#link.href = new URL(encodeURIComponent(this.getAttribute("topic") ?? ""), FOLLOW).href;
  }
}

if (!customElements.get("feedback-follow")) customElements.define("feedback-follow", FeedbackFollow);
