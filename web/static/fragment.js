// A code that came behind the # of a link never reached the server; here it is put where it is sent from.

const field = document.querySelector("[data-fragment]");
const code = decodeURIComponent(location.hash.slice(1)).replace(/^secret=/, "");
if (field && code) {
  field.value = code;
  history.replaceState(null, "", location.pathname + location.search);
  document.querySelector("[data-after-code]")?.focus();
}
