// Computes the form's proof of work while the visitor types, so that nobody waits for it. WebCrypto computes on its own
// threads, so no web worker is needed and typing stays smooth. Without a proof, the site asks for one more step.

const FRESH_ENOUGH = 60_000; // before a proof expires: sending may take a while on a slow connection
const PATIENCE = 5_000; // for a server that does not answer; the message is then sent without a proof
const PATIENCE_TO_COMPUTE = 15_000; // the challenge gets harder under load: some seconds on an old phone
const PAUSE = 30_000; // after a failure, so that not every typed letter starts a new attempt
const AT_ONCE = 4; // key derivations at a time: as many cores as most phones can spare

const field = document.querySelector("input[name=proof]");
const form = field.form;
const lifetime = Number(field.dataset.lifetime) * 1000;
let expires = 0;
let working = null;
let pausedUntil = 0;
let sent = false;

const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function derive({ nonce, salt, cost, keyLength }, counter) {
  const password = new Uint8Array([...bytes(nonce), 0, 0, 0, 0]);
  new DataView(password.buffer).setUint32(password.length - 4, counter);
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: cost };
  return hex(await crypto.subtle.deriveBits(algorithm, key, keyLength * 8));
}

async function solve(parameters) {
  for (let first = 0; ; first += AT_ONCE) {
    const counters = Array.from({ length: AT_ONCE }, (_, index) => first + index);
    const keys = await Promise.all(counters.map((counter) => derive(parameters, counter)));
    const found = keys.findIndex((key) => key.startsWith(parameters.keyPrefix));
    if (found >= 0) return { counter: first + found, derivedKey: keys[found] };
  }
}

async function earn() {
  const answer = await fetch(field.dataset.challenge, { signal: AbortSignal.timeout(PATIENCE) });
  const began = Date.now();
  const challenge = await answer.json();
  const solution = await solve(challenge.parameters);
  field.value = btoa(JSON.stringify({ challenge, solution }));
  expires = began + lifetime;
}

function prepare() {
  if (field.value && Date.now() > expires - FRESH_ENOUGH) field.value = "";
  if (!field.value && Date.now() > pausedUntil) working ??= earn().catch(pause).finally(() => (working = null));
  return working;
}

function pause() {
  pausedUntil = Date.now() + PAUSE;
}

function begin() {
  // A proof that the browser restored with the page may have been used.
  field.value = "";
  sent = false;
  if (form.elements.content.value) prepare();
}

form.addEventListener("input", prepare);
form.addEventListener("submit", async (event) => {
  if (sent) return event.preventDefault(); // ignore a second click
  sent = true;
  if (prepare()) {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    button.setAttribute("aria-busy", "true");
    await Promise.race([working, new Promise((resolve) => setTimeout(resolve, PATIENCE_TO_COMPUTE))]);
    button.removeAttribute("aria-busy");
    form.submit();
  }
  setTimeout(begin, 2_000); // for a visitor who stops the page and sends again
});
addEventListener("pageshow", ({ persisted }) => persisted && begin());
begin();
