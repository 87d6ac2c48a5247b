// Forms are sent without a reload; the server's page with the result takes the place of this one.

import { t } from "./language.js";
import { fetchPage, swapMain } from "./swap.js";

function notice(text) {
  const box = document.createElement("div");
  box.className = "notice bad";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  box.dataset.notice = "";
  const words = document.createElement("p");
  words.textContent = text;
  box.append(words);
  document.querySelector("main > [data-notice]")?.remove();
  document.querySelector("main").prepend(box);
  box.focus();
}

function remember(response) {
  if (!response.redirected) return;
  const url = new URL(response.url);
  url.searchParams.delete("notice");
  if (url.pathname === location.pathname) history.replaceState(null, "", url.pathname + location.search + location.hash);
  else history.pushState(null, "", url);
}

async function send(form, submitter) {
  const fields = new URLSearchParams(new FormData(form, submitter));
  form.setAttribute("aria-busy", "true");
  try {
    const { response, page } = await fetchPage(form.getAttribute("action"), { method: "POST", body: fields });
    if (response.redirected && new URL(response.url).pathname === "/login") {
      location.assign("/login");
      return;
    }
    if (!page.querySelector("main")) throw new Error("no page came back");
    remember(response);
    swapMain(page, form);
    const result = document.querySelector("main > [data-notice]");
    result?.focus({ preventScroll: true });
    result?.scrollIntoView({ block: "nearest" });
  } catch {
    notice(t("The gateway could not be reached, so it is not known whether this was done. What you typed is still here."));
  } finally {
    form.removeAttribute("aria-busy");
  }
}

export function enhanceForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!("enhance" in form.dataset)) return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") !== "true") send(form, event.submitter);
  });
}
