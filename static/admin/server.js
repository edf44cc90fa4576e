/** Requests to the server's push API: fetch its key, and post this browser's changes. */

import { sessionEnded } from "./connection.js";
import { page } from "./page.js";
import { AddressError } from "../push/subscription.js";

const ANSWER_WITHIN = 10_000;

export async function serverKey() {
  return (await request(page.key)).applicationServerKey;
}

export function post(url, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
  return request(url, { method: "POST", headers, body: JSON.stringify(body) });
}

async function request(url, options) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN);
  const response = await fetch(url, { credentials: "same-origin", signal, ...options }).catch(unreachable);
  const body = await response.json().catch(() => null);
  if (response.status === 401) {
    sessionEnded();
    throw new RequestError("signed-out");
  }
  if (response.status >= 500) throw new RequestError("unreachable");
  if (response.status === 403 && body?.confirm) throw new RequestError("refused", body.error, body.confirm);
  if (!response.ok || !body) throw new RequestError("refused", body?.error ?? `HTTP ${response.status}`);
  return body;
}

function unreachable(error) {
  throw error.name === "TimeoutError" ? error : new RequestError("unreachable");
}

class RequestError extends Error {
  constructor(kind, detail, confirm) {
    super(detail ?? kind);
    this.trouble = { kind, detail, confirm };
  }
}

/** @returns {import("./opt-in.js").Trouble} */
export function asTrouble(error) {
  if (error instanceof RequestError || error instanceof AddressError) return error.trouble;
  if (error.name === "TimeoutError") return { kind: "no-answer" };
  return { kind: "browser", name: error.name, detail: `${error.name}: ${error.message}` };
}

function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]').content;
}
