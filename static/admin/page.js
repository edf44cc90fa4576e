/** The page's data for its scripts: addresses and the state of push, as data attributes of the subscribe script. */

export const page = globalThis.document?.getElementById("push-script")?.dataset;
