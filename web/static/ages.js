// Ages and countdowns tick once a second; a countdown that ends says so once.

import { age, clock, until } from "./words.js";

function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setTime(element, atMs) {
  element.dataset.age = atMs ?? "";
  if (atMs) {
    element.dateTime = new Date(atMs).toISOString();
    element.title = clock(atMs);
  }
  show(element, age(atMs, Date.now()));
}

export function startClock(ended) {
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now();
    for (const element of document.querySelectorAll("time[data-age]")) {
      if (element.dataset.age) show(element, age(Number(element.dataset.age), now));
    }
    for (const element of document.querySelectorAll("time[data-until]")) {
      const at = Number(element.dataset.until);
      show(element, until(at, now));
      if (at <= now && !element.dataset.ended) {
        element.dataset.ended = "yes";
        ended();
      }
    }
  }, 1000);
}
