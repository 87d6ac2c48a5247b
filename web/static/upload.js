// An image on its way up: how far, how fast; a refusal stands beside the field it is about.

import { t } from "./language.js";
import { announce } from "./live.js";
import { swapMain } from "./swap.js";
import { showProgress, size } from "./updates.js";

const SMOOTH = 0.3;
let request = null;

function field(form, name) {
  return form.elements.namedItem(name);
}

function say(form, name, text) {
  const place = form.querySelector(`[data-error="${name}"]`);
  const input = field(form, name);
  place.textContent = text;
  place.hidden = !text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  if (text) {
    input.closest("details")?.setAttribute("open", "");
    input.focus();
    announce(text);
  }
}

function clear(form) {
  for (const place of form.querySelectorAll("[data-error]")) say(form, place.dataset.error, "");
}

function fileFault(form) {
  const [file] = field(form, "file").files;
  if (!file) return t("Choose the file of the image.");
  if (!file.size) return t("The file is empty.");
  const max = Number(form.dataset.max);
  if (file.size <= max) return "";
  return t("The file has %(size)s; an image has at most %(most)s MB.", { size: size(file.size), most: max / 1024 ** 2 });
}

function busy(form, yes) {
  form.toggleAttribute("data-busy", yes);
  form.querySelector("[data-upload-stop]").hidden = !yes;
  form.querySelector("[data-upload-progress]").hidden = !yes;
  form.querySelector("[data-upload-go]").disabled = yes;
}

// Bytes per second, smoothed, so that the time left does not jump about.
function meter() {
  let [at, sent, rate] = [performance.now(), 0, null];
  return (loaded) => {
    const now = performance.now();
    if (now - at >= 200) {
      const fresh = ((loaded - sent) * 1000) / (now - at);
      rate = rate === null ? fresh : SMOOTH * fresh + (1 - SMOOTH) * rate;
      [at, sent] = [now, loaded];
    }
    return rate;
  };
}

function follow(form) {
  const place = form.querySelector("[data-upload-progress]");
  const measure = meter();
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const rate = measure(loaded);
    showProgress(place, { received: loaded, size: total, rate, eta: rate && loaded < total ? (total - loaded) / rate : null });
    if (loaded >= total) place.querySelector('[data-part="eta"]').textContent = t("the gateway checks it…");
  });
}

function answered(form) {
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const url = new URL(request.responseURL);
  if (url.pathname === "/login") {
    location.assign("/login");
    return;
  }
  if (request.status === 200 && url.searchParams.has("notice")) {
    swapMain(page, form);
    const result = document.querySelector("main > [data-notice]");
    result?.focus({ preventScroll: true });
    result?.scrollIntoView({ block: "nearest" });
    return;
  }
  const beside = [...page.querySelectorAll("[data-error]")].find((place) => place.textContent.trim());
  const said = page.querySelector("main [data-notice] p, main h1 + p")?.textContent ?? t("The gateway did not take the image.");
  say(form, beside?.dataset.error ?? "file", beside?.textContent.trim() || said);
}

function send(form) {
  request = new XMLHttpRequest();
  follow(form);
  const over = (how) => () => {
    busy(form, false);
    how();
    request = null;
  };
  request.addEventListener("load", over(() => answered(form)));
  request.addEventListener("error", over(() => say(form, "file", t("The connection broke before the gateway had everything, so nothing was kept. Try again."))));
  request.addEventListener("abort", over(() => say(form, "file", t("Stopped; nothing was kept."))));
  request.open("POST", form.getAttribute("action"));
  request.setRequestHeader("Accept", "text/html");
  // The form's fields stand before the file, so the gateway knows everything when the file begins.
  request.send(new FormData(form));
  busy(form, true);
}

export function startUploads() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!("upload" in form.dataset)) return;
    event.preventDefault();
    if (request) return;
    clear(form);
    const fault = fileFault(form);
    if (fault) say(form, "file", fault);
    else send(form);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-upload-stop]")) request?.abort();
  });
}
