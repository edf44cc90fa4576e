/** Takes the code of a sign-in link from the fragment of the address, and sends the page's form with it. */

function take() {
  const code = location.hash.slice(1);
  const form = document.querySelector("form[data-link]");
  if (!code || !form) return;
  history.replaceState(null, "", location.pathname); // so that the code stays neither in the address nor in the history
  form.elements.token.value = code;
  form.requestSubmit();
}

addEventListener("hashchange", take); // for a link that is opened in a tab that has this page already
take();
