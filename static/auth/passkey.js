/**
 * Asks this browser for a passkey when a button with `data-passkey` is clicked, and sends the button's form with it.
 * Where a page offers passkeys (`data-offered`), the browser also lists them in the field for the e-mail address.
 */

const RENEW_AFTER = 8 * 60_000; // before the challenge of the waiting request expires
const buttons = document.querySelectorAll("button[data-passkey]");
let offer = null; // ends the waiting request, because a browser handles one at a time

async function use(event) {
  const button = event.currentTarget;
  event.preventDefault();
  if (!button.formNoValidate && !button.form.reportValidity()) return;
  show(button, "");
  offer?.abort();
  button.ariaBusy = "true";
  try {
    send(button, await ask(button));
  } catch (error) {
    show(button, problem(button, error));
  }
  button.ariaBusy = null;
}

/** Let the browser list passkeys as it lists passwords, until one is chosen. */
async function list(button) {
  if (!(await globalThis.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  offer = new AbortController();
  const renewal = setTimeout(() => list(button), RENEW_AFTER);
  const { signal } = offer;
  signal.addEventListener("abort", () => clearTimeout(renewal));
  try {
    send(button, await ask(button, { mediation: "conditional", signal }));
  } catch {
    // Nothing was chosen: the form and the button still work.
  }
}

/** @returns {Promise<PublicKeyCredential>} */
async function ask(button, how = {}) {
  const response = await fetch(button.dataset.options, { credentials: "same-origin" });
  if (!response.ok) throw new Error((await response.json()).error);
  const publicKey = decoded(await response.json());
  return button.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey })
    : navigator.credentials.get({ publicKey, ...how });
}

function send(button, credential) {
  button.form.elements.credential.value = JSON.stringify(encoded(credential));
  button.form.action = button.formAction;
  button.form.submit();
}

function show(button, text) {
  const place = button.form.querySelector("[data-passkey-problem]");
  place.textContent = text;
  place.hidden = !text;
}

function problem({ dataset }, { name }) {
  if (name === "NotAllowedError" || name === "AbortError") return dataset.cancelled;
  return name === "InvalidStateError" ? dataset.exists : dataset.failed;
}

// The browsers' own parseRequestOptionsFromJSON and toJSON are younger than passkeys.

function decoded(options) {
  const each = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }));
  return {
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...(options.allowCredentials && { allowCredentials: each(options.allowCredentials) }),
    ...(options.excludeCredentials && { excludeCredentials: each(options.excludeCredentials) }),
  };
}

function encoded({ id, rawId, type, response }) {
  const names = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const parts = names.filter((name) => response[name]).map((name) => [name, text(response[name])]);
  const transports = response.getTransports?.();
  return { id, rawId: text(rawId), type, response: { ...Object.fromEntries(parts), ...(transports && { transports }) } };
}

function bytes(base64url) {
  const characters = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(characters, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const characters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte));
  return btoa(characters.join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

for (const button of buttons) {
  button.addEventListener("click", use);
  if ("offered" in button.dataset) list(button);
}
