/**
 * Defines <feedback-form form="KEY">, a form of this site for any page of another site: a button with a dialog, or the
 * form itself with `inline`. <script type="module" src="…" data-form="KEY"> makes one in a corner of the window.
 *
 * It sets no cookie and stores nothing. A link inside the element is its button; without this script, or where the form
 * cannot be loaded, it stays a link to the form's own page.
 */

const BASE = new URL("../", import.meta.url);
const LABELS = { en: "Feedback", de: "Feedback", lt: "Atsiliepimas" };
const SYMBOLS = { up: "👍", down: "👎" };
const PATIENCE = 20_000;
const FRESH = 8 * 60_000; // of a proof; later, the site may ask for a harder one
const LONGEST_ADDRESS = 1_000; // of a page
const LONGEST_TITLE = 200;
const LANGUAGE = /^[a-z]{2,8}(-[a-z0-9]{1,8}){0,3}/i; // some browsers add more

// A constructed style sheet needs no style-src in the policy of the page. Only an important rule of a shadow tree is
// stronger than an important rule of the page.
const style = new CSSStyleSheet();
style.replaceSync(`
:host {
  --_accent: var(--feedback-accent, #1f5fbf); --_on-accent: var(--feedback-on-accent, #fff);
  --_background: var(--feedback-background, #fff); --_text: var(--feedback-text, #1c2530);
  --_muted: var(--feedback-muted, #566373); --_border: var(--feedback-border, #75818f);
  --_error: var(--feedback-error, #b3261e); --_radius: var(--feedback-radius, 8px);
  display: inline-block !important; color-scheme: light;
}
@media (prefers-color-scheme: dark) {
  :host(:not([theme=light])) {
    --_accent: var(--feedback-accent, #8ab8ff); --_on-accent: var(--feedback-on-accent, #0b1a30);
    --_background: var(--feedback-background, #171d26); --_text: var(--feedback-text, #e8edf3);
    --_muted: var(--feedback-muted, #a9b4c1); --_border: var(--feedback-border, #7b8896);
    --_error: var(--feedback-error, #ffb4ab); color-scheme: dark;
  }
}
:host([theme=dark]) {
  --_accent: var(--feedback-accent, #8ab8ff); --_on-accent: var(--feedback-on-accent, #0b1a30);
  --_background: var(--feedback-background, #171d26); --_text: var(--feedback-text, #e8edf3);
  --_muted: var(--feedback-muted, #a9b4c1); --_border: var(--feedback-border, #7b8896);
  --_error: var(--feedback-error, #ffb4ab); color-scheme: dark;
}
:host([inline]) { display: block !important; }
:host([floating]) {
  position: fixed !important; z-index: var(--feedback-layer, 1000);
  inset-block-end: var(--feedback-inset, 16px); inset-inline-end: var(--feedback-inset, 16px);
}
:host([hidden]) { display: none !important; }
::slotted(a) { display: inline-block !important; }
.trigger, .panel { all: initial; box-sizing: border-box; font: medium/1.5 var(--feedback-font, system-ui, sans-serif); color: var(--_text); }
[hidden] { display: none !important; }
* { box-sizing: border-box; }
.trigger, button {
  display: inline-flex; align-items: center; justify-content: center; min-width: 44px; min-height: 44px;
  padding: 8px 16px; border: 1px solid var(--_accent); border-radius: var(--_radius); background: var(--_accent);
  color: var(--_on-accent); font: inherit; font-weight: 600; text-decoration: none; cursor: pointer;
}
.trigger:hover, button:hover { filter: brightness(1.1); }
[aria-busy=true] { cursor: progress; opacity: 0.7; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
.panel {
  display: block; margin: 0; padding: 20px; border: 1px solid var(--_border); border-radius: var(--_radius);
  background: var(--_background); overflow-wrap: anywhere;
}
dialog.panel { display: none; width: min(480px, calc(100vw - 16px)); max-height: calc(100dvh - 16px); }
dialog.panel[open] {
  display: block; position: fixed; inset: 0; margin: auto; height: fit-content; overflow: auto;
  overscroll-behavior: contain;
}
dialog::backdrop { background: rgb(0 0 0 / 50%); }
@media (prefers-reduced-motion: no-preference) {
  dialog[open] { animation: appear 0.15s; }
  @keyframes appear { from { opacity: 0; } }
}
.head { display: flex; gap: 8px; align-items: start; justify-content: space-between; }
h2 { margin: 0; font-size: 1.25em; line-height: 1.3; }
h2:focus { outline: none; }
.close { flex: none; margin: -8px; padding: 0; border-color: transparent; background: none; color: inherit; font-size: 1.5em; }
p, ul { margin: 8px 0 0; padding: 0; }
li { display: block; }
.field, fieldset { margin: 16px 0 0; padding: 0; border: 0; }
label, legend { display: block; padding: 0; font-weight: 600; }
input:not([type=radio]), textarea, select {
  display: block; width: 100%; min-height: 44px; margin: 4px 0 0; padding: 8px; border: 1px solid var(--_border);
  border-radius: var(--_radius); background: var(--_background); color: inherit; font: inherit;
}
textarea { resize: vertical; }
[aria-invalid=true] { border-color: var(--_error) !important; }
.choices { display: flex; flex-wrap: wrap; }
.choices label { display: flex; min-width: 44px; min-height: 44px; gap: 4px; align-items: center; font-weight: 400; }
input[type=radio] { width: 20px; height: 20px; margin: 0; accent-color: var(--_accent); }
.muted { color: var(--_muted); font-size: 0.875em; }
.error { color: var(--_error); }
.error:empty { margin: 0; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
form > button { margin-top: 16px; }
.panel a { color: var(--_accent); }
.link { display: inline-flex; align-items: center; min-height: 44px; }
`);

const element = (name, properties = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "part") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter(Boolean));
  return made;
};

/** Solves a challenge. A worker runs the text of this function, so it uses nothing from outside. */
async function solve({ nonce, salt, cost, keyLength, keyPrefix }) {
  const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
  const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: cost };
  const derive = async (counter) => {
    const password = new Uint8Array([...bytes(nonce), 0, 0, 0, 0]);
    new DataView(password.buffer).setUint32(password.length - 4, counter);
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    return hex(await crypto.subtle.deriveBits(algorithm, key, keyLength * 8));
  };
  for (let first = 0; ; first += 4) {
    const keys = await Promise.all([0, 1, 2, 3].map((index) => derive(first + index)));
    const found = keys.findIndex((key) => key.startsWith(keyPrefix));
    if (found >= 0) return { counter: first + found, derivedKey: keys[found] };
  }
}

/** Solves a challenge in a worker; rejects where the policy of the page allows none. */
function solveInWorker(parameters) {
  const address = URL.createObjectURL(
    new Blob([`${solve}\nonmessage = async ({ data }) => postMessage(await solve(data));`], { type: "text/javascript" }),
  );
  let worker;
  return new Promise((resolve, reject) => {
    worker = new Worker(address); // throws, or fails with an event
    worker.onerror = (event) => reject(event.preventDefault());
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(parameters);
  }).finally(() => {
    worker?.terminate();
    URL.revokeObjectURL(address);
  });
}

const browser = () => ({ size: `${innerWidth}x${innerHeight}`, language: navigator.language?.match(LANGUAGE)?.[0] ?? "und" });

const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

class FeedbackForm extends HTMLElement {
  static observedAttributes = ["form"];

  #slot = element("slot");
  #button = element("a", { className: "trigger", part: "button" });
  #panel = null;
  #form = null;
  #about = null; // the description of the form
  #loading = null;
  #proof = null; // { made, text }, as a promise
  #broken = false;
  #sending = false;
  #last = {}; // the text of the last request, and its Idempotency-Key

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    this.#slot.append(this.#button);
    root.append(this.#slot);
    this.#slot.addEventListener("click", (event) => this.#click(event));
    this.#slot.addEventListener("keydown", (event) => {
      if (event.key === " " && this.#panel) this.#click(event);
    });
  }

  connectedCallback() {
    this.#button.textContent = this.getAttribute("label") || LABELS[this.#language.slice(0, 2).toLowerCase()] || LABELS.en;
    this.attributeChangedCallback();
  }

  attributeChangedCallback() {
    this.#button.href = new URL(`f/${encodeURIComponent(this.#key)}`, BASE).href;
    if (this.isConnected && this.#loading?.key !== this.#key) this.#load();
  }

  /** Shows the form, or leads to its own page where it cannot be loaded. Resolves to whether it is shown. */
  async open() {
    const loading = (this.#loading ??= this.#load());
    if (!(await loading)) return false;
    if (this.#panel.localName === "dialog" && !this.#panel.open) this.#panel.showModal();
    if (this.#form.isConnected) {
      this.#tell();
      this.#form.elements.content.focus();
    }
    return true;
  }

  /** Closes the dialog; the typed text stays. */
  close() {
    if (this.#panel?.localName === "dialog") this.#panel.close();
  }

  get #key() {
    return this.getAttribute("form") ?? "default";
  }

  get #language() {
    return this.closest("[lang]")?.lang ?? "";
  }

  #fetch(part, options = {}) {
    const languages = [this.#language, ...navigator.languages].filter(Boolean).slice(0, 9);
    const wanted = languages.map((language, index) => `${language};q=0.${9 - index}`).join(", ");
    const headers = { "Accept-Language": wanted, ...options.headers };
    const given = { credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(PATIENCE) };
    const address = ["api/v1/forms", encodeURIComponent(this.#key), ...part].join("/");
    return fetch(new URL(address, BASE), { ...given, ...options, headers });
  }

  #load() {
    const key = this.#key;
    const loading = new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve, { timeout: 1_000 }))
      .then(() => this.#fetch([], { priority: "low" }))
      .then((answer) => (answer.ok ? answer.json() : null))
      .catch(() => null) // blocked, or not there: the link stays a link
      .then((about) => this.#loading === loading && this.#show(about));
    loading.key = key;
    this.#loading = loading;
    return loading;
  }

  #show(about) {
    const works = about?.is_open && (!about.proof.required || Boolean(globalThis.crypto?.subtle));
    this.#broken = !works;
    this.#panel?.remove();
    this.#panel = null;
    for (const link of [this.#button, ...this.querySelectorAll(":scope > a")]) {
      for (const [name, value] of [["role", "button"], ["aria-haspopup", "dialog"]]) {
        if (works) link.setAttribute(name, value);
        else link.removeAttribute(name);
      }
    }
    this.#slot.hidden = works && this.hasAttribute("inline");
    if (!works) return false;
    this.#about = about;
    this.#proof = null;
    this.#build();
    return true;
  }

  #link(event) {
    return event.composedPath().find((each) => each.localName === "a");
  }

  async #click(event) {
    const link = this.#link(event);
    if (!link || this.#broken || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
    event.preventDefault();
    link.setAttribute("aria-busy", "true");
    const shown = await this.open();
    link.removeAttribute("aria-busy");
    if (!shown) location.assign(link.href);
  }

  #build() {
    const { texts, title, language } = this.#about;
    const inline = this.hasAttribute("inline");
    const heading = element("h2", { id: "title", textContent: title, dir: "auto", tabIndex: -1 });
    const close = element("button", { type: "button", className: "close", textContent: "×", "aria-label": texts.close });
    close.addEventListener("click", () => this.close());
    this.#panel = element(
      inline ? "section" : "dialog",
      { className: "panel", part: "panel", lang: language, "aria-labelledby": "title" },
      element("div", { className: "head" }, heading, inline ? null : close),
      element("div", { className: "body" }, ...this.#content()),
    );
    this.#panel.addEventListener("close", () => this.dispatchEvent(new CustomEvent("closed", { bubbles: true })));
    this.shadowRoot.append(this.#panel);
  }

  #content() {
    return [element("p", { textContent: this.#about.intro, dir: "auto" }), this.#fields()];
  }

  #fields() {
    const { texts, fields, button } = this.#about;
    this.#form = element(
      "form",
      { noValidate: true },
      element("p", { className: "error general", role: "alert" }),
      ...fields.map((field) => this.#field(field)),
      element("div", { className: "muted sent-with" }),
      element("button", { textContent: button, dir: "auto", part: "send" }),
      element("p", { className: "hidden", role: "status" }),
    );
    this.#form.addEventListener("input", () => this.#earn().catch(() => {}), { once: true });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#tell();
    return this.#form;
  }

  /** Says what the message adds to the typed text; the address of the page may have changed since. */
  #tell() {
    const { size, language } = browser();
    const own = this.#about.texts.browser.replace("{size}", size.replace("x", " × ")).replace("{language}", language);
    const added = [this.#page(), document.title.slice(0, LONGEST_TITLE), own].filter(Boolean);
    const list = element("ul", {}, ...added.map((text) => element("li", { textContent: text, dir: "auto" })));
    this.#form.querySelector(".sent-with").replaceChildren(element("p", { textContent: this.#about.texts.sent_with }), list);
  }

  #field({ name, kind, label, required, max_length: longest, choices }) {
    const { texts } = this.#about;
    const text = required ? label : texts.optional.replace("{label}", label);
    const error = element("p", { className: "error", id: `${name}-error` });
    const filled = this.getAttribute(name) ?? "";
    if (kind === "stars" || kind === "thumbs") {
      const described = { "aria-describedby": error.id };
      const options = choices.map(({ value, label: meaning }) =>
        element(
          "label",
          { title: meaning },
          element("input", { type: "radio", name, value, checked: value === filled }),
          element("span", { textContent: SYMBOLS[value] ?? "★".repeat(value), "aria-hidden": "true" }),
          element("span", { className: "hidden", textContent: meaning }),
        ),
      );
      return element("fieldset", described, element("legend", { textContent: text }), element("div", { className: "choices" }, ...options), error);
    }
    const shared = { id: name, name, required, dir: "auto", "aria-describedby": error.id };
    let input;
    if (kind === "choice") {
      const options = [{ value: "", label: texts.choose }, ...choices];
      input = element("select", shared, ...options.map((choice) => element("option", { value: choice.value, textContent: choice.label })));
      input.value = choices.some(({ value }) => value === filled) ? filled : "";
    } else {
      const autocomplete = ["name", "email"].includes(name) ? name : "off";
      input = element(kind === "long-text" ? "textarea" : "input", { ...shared, maxLength: longest, autocomplete, value: filled });
      if (kind === "long-text") input.rows = name === "content" ? 5 : 3;
      if (kind === "email") input.type = "email";
    }
    return element("div", { className: "field" }, element("label", { htmlFor: name, textContent: text, dir: "auto" }), input, error);
  }

  /** The address of the page without its fragment, and without its query unless the form keeps that. */
  #page() {
    const { origin, pathname, search, protocol } = location;
    if (!/^https?:$/.test(protocol)) return "";
    const whole = origin + pathname + (this.#about.keeps_query ? search : "");
    return [whole, origin + pathname, origin].find(({ length }) => length <= LONGEST_ADDRESS) ?? "";
  }

  #message() {
    const sent = { content: "" };
    for (const [name, value] of new FormData(this.#form)) {
      if (name.startsWith("answers.")) (sent.answers ??= {})[name.slice(8)] = value;
      else if (value) sent[name] = value;
    }
    const [user, hmac] = [this.getAttribute("user"), this.getAttribute("user-hmac")];
    if (user && hmac) sent.user = { id: user, hmac };
    if (this.#page()) sent.page_url = this.#page();
    if (document.title) sent.page_title = document.title.slice(0, LONGEST_TITLE);
    const { size, language } = browser();
    return { ...sent, viewport: size, language };
  }

  #earn() {
    if (!this.#about.proof.required) return Promise.resolve(null);
    if (this.#proof && Date.now() - this.#proof.began < FRESH) return this.#proof;
    const earning = (async () => {
      const answer = await this.#fetch(["challenge"]);
      if (!answer.ok) throw new Error("no challenge");
      const challenge = await answer.json();
      const inPage = this.hasAttribute("no-worker");
      const solution = await (inPage ? solve : solveInWorker)(challenge.parameters).catch(() => solve(challenge.parameters));
      return btoa(JSON.stringify({ challenge, solution }));
    })();
    earning.began = Date.now();
    earning.catch(() => this.#proof === earning && (this.#proof = null));
    return (this.#proof = earning);
  }

  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    const button = this.#form.querySelector("button");
    const status = this.#form.querySelector("[role=status]");
    this.#complain("", []);
    button.setAttribute("aria-busy", "true");
    status.textContent = this.#about.texts.sending;
    try {
      let answer = await this.#post();
      let problem = answer.ok ? null : await answer.json();
      if (problem?.errors?.some(({ field }) => field === "proof")) {
        this.#proof = null; // used or too old
        answer = await this.#post();
        problem = answer.ok ? null : await answer.json();
      }
      if (problem) this.#complain(problem.detail, problem.errors ?? []);
      else this.#thank(await answer.json());
    } catch {
      this.#complain(this.#about.texts.failed, []);
    }
    button.removeAttribute("aria-busy");
    status.textContent = "";
    this.#sending = false;
  }

  async #post() {
    const message = this.#message();
    const text = JSON.stringify(message);
    if (this.#last.text !== text) this.#last = { text, key: randomKey() };
    const proof = await this.#earn();
    const headers = { "Content-Type": "application/json", "Idempotency-Key": this.#last.key };
    return this.#fetch(["messages"], { method: "POST", headers, body: JSON.stringify(proof ? { ...message, proof } : message) });
  }

  /** Shows the problem, and each problem of a field at the field, which gets the focus. */
  #complain(general, errors) {
    const { texts } = this.#about;
    let first = null;
    for (const place of this.#form.querySelectorAll(".error:not(.general)")) {
      const name = place.id.replace(/-error$/, "");
      const found = errors.filter(({ field }) => field === name).map(({ detail }) => detail);
      place.textContent = found.join(" ");
      const inputs = [...this.#form.querySelectorAll(`[name="${CSS.escape(name)}"]`)];
      for (const input of inputs) {
        if (found.length) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
      if (found.length) first ??= inputs[0];
    }
    this.#form.querySelector(".general").textContent = first ? texts.wrong : general;
    first?.focus();
  }

  #thank({ conversation_url: address }) {
    const { texts, thanks } = this.#about;
    const outside = { target: "_blank", rel: "noopener noreferrer", className: "link", href: address };
    const again = element("button", { type: "button", textContent: texts.again });
    const heading = this.#panel.querySelector("h2");
    const body = this.#panel.querySelector(".body");
    again.addEventListener("click", () => {
      heading.textContent = this.#about.title;
      body.replaceChildren(...this.#content());
      this.#form.elements.content.focus();
    });
    const own = address && [
      element("p", {}, element("strong", { textContent: texts.keep_link })),
      element("p", { textContent: texts.private_page }),
      element("p", {}, element("a", { ...outside, textContent: address, className: "private", part: "private-link" })),
      element("p", {}, element("a", { ...outside, textContent: texts.tell_me, className: "link", href: `${address}#notifications` })),
    ];
    heading.textContent = texts.thank_you;
    body.replaceChildren(element("p", { role: "status", textContent: thanks, dir: "auto" }), ...(own || []), again);
    heading.focus();
    this.#proof = null;
    this.#last = {};
    this.dispatchEvent(new CustomEvent("sent", { bubbles: true }));
  }
}

if (!customElements.get("feedback-form")) customElements.define("feedback-form", FeedbackForm);

// A module does not know its own element, and runs once however many elements name it.
for (const script of document.querySelectorAll("script[data-form]")) {
  if (script.src !== import.meta.url) continue;
  const made = document.createElement("feedback-form");
  for (const { name, value } of script.attributes) if (name.startsWith("data-")) made.setAttribute(name.slice(5), value);
  if (made.hasAttribute("inline")) script.after(made);
  else {
    made.setAttribute("floating", "");
    document.body.append(made);
  }
}
