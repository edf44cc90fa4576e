/** What this browser remembers between visits. */

/** The endpoint that the server was given last: to be dropped there when the browser no longer has it. */
export const lastEndpoint = remembered("feedback-push.endpoint");

/** "on" or "off", as the person chose on this device: only "on" may subscribe again without a click. */
export const choice = remembered("feedback-push.choice");

/** The state that the last visit came to: a guess at the first paint, while browser and server are still talking. */
export const lastState = remembered("feedback-push.state");

/** What went wrong at it, as JSON: the words about it will take the same room. */
export const lastTrouble = remembered("feedback-push.trouble");

/** The newest unread message when the card was put aside: the next one brings it back. */
export const putAside = remembered("feedback-push.put-aside");

/** "no" once installing the app was declined. */
export const installing = remembered("feedback-push.installing");

function remembered(name) {
  return {
    get: () => localStorage.getItem(name),
    set: (value) => localStorage.setItem(name, value),
    remove: () => localStorage.removeItem(name),
  };
}
