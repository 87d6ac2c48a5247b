// Forms are sent without a reload; the server's page with the result takes the place of this one.

import { t } from "./language.js";
import { fetchPage, renewTokens, swapMain } from "./swap.js";

function notice(text, link = null) {
  const box = document.createElement("div");
  box.className = "notice bad";
  box.tabIndex = -1;
  box.setAttribute("role", "alert");
  box.dataset.notice = "";
  const words = document.createElement("p");
  words.textContent = text;
  box.append(words);
  if (link) words.append(" ", link);
  document.querySelector("main > [data-notice]")?.remove();
  document.querySelector("main").prepend(box);
  return box;
}

export function isLogin(response) {
  return response.redirected && new URL(response.url).pathname === "/login";
}

function loggedOutBox() {
  return document.querySelector("main > [data-logged-out]");
}

// The session is over, and somebody is typing: the page stays, and the way to log in opens beside it.
export function loggedOut() {
  if (loggedOutBox()) return;
  const link = document.createElement("a");
  link.href = "/login";
  link.target = "_blank";
  link.textContent = t("Log in again in a new tab, then come back and send it.");
  const box = notice(t("You were logged out, so nothing was done. What you typed is still here."), link);
  box.dataset.loggedOut = "";
  box.focus();
}

// Once there is a session again, every form of this page belongs to it.
async function backAgain() {
  const { response, page } = await fetchPage(location.href);
  if (isLogin(response) || !renewTokens(page)) return false;
  loggedOutBox()?.remove();
  return true;
}

function remember(response) {
  if (!response.redirected) return;
  const url = new URL(response.url);
  url.searchParams.delete("notice");
  if (url.pathname === location.pathname) history.replaceState(null, "", url.pathname + location.search + location.hash);
  else history.pushState(null, "", url);
}

async function send(form, submitter) {
  form.setAttribute("aria-busy", "true");
  try {
    if (loggedOutBox() && !(await backAgain())) {
      loggedOutBox().focus();
      return;
    }
    const fields = new URLSearchParams(new FormData(form, submitter));
    const { response, page } = await fetchPage(form.getAttribute("action"), { method: "POST", body: fields });
    if (isLogin(response)) {
      loggedOut();
      return;
    }
    if (!page.querySelector("main")) throw new Error("no page came back");
    remember(response);
    swapMain(page, form);
    const result = document.querySelector("main > [data-notice]");
    result?.focus({ preventScroll: true });
    result?.scrollIntoView({ block: "nearest" });
  } catch {
    notice(t("The gateway could not be reached, so it is not known whether this was done. What you typed is still here.")).focus();
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
