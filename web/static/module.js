// One module's page: cards that fold, ages of values, and news of what happened to it.

import { setTime } from "./ages.js";
import { onSocket, onValues, watchedModules } from "./live.js";
import { onSwap } from "./swap.js";
import { shown, within } from "./words.js";

const WIDE = matchMedia("(min-width: 56.01rem)");
const NEWS_EVERY_MS = 1000;
// A value that comes again unchanged is told to nobody, but its age is not what it was.
const LOOK_EVERY_MS = 20_000;

let refreshPage = () => {};
let lookedMs = 0;
const open = new Map();

function folds() {
  return document.querySelectorAll("details[data-fold]");
}

// Where there is room all stand open; what somebody opened or closed stays as it was left.
function arrange() {
  for (const fold of folds()) fold.open = open.get(fold.id) ?? (WIDE.matches || fold.open);
  reveal();
}

function reveal() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id ? document.getElementById(id) : null;
  if (target?.matches("details[data-fold]") && !open.has(id)) target.open = true;
}

function touched(event) {
  const summary = event.target.closest?.("details[data-fold] > summary");
  if (summary) open.set(summary.parentElement.id, !summary.parentElement.open);
}

// The stream tells values, not their times; one that is another than before has just come.
function showAges(id, telemetry) {
  const now = Date.now();
  for (const place of document.querySelectorAll(`dl.values[data-module="${CSS.escape(id)}"]`)) {
    for (const age of place.querySelectorAll("[data-age-of]")) {
      const tile = age.closest(".value");
      const value = within(telemetry, age.dataset.ageOf);
      if (value === undefined || tile.querySelector("[data-key]").textContent === shown(value)) continue;
      setTime(age.querySelector("time"), now);
      age.querySelector(".old-mark")?.remove();
      tile.classList.remove("old");
    }
  }
}

function look() {
  if (document.hidden || !watchedModules().length || Date.now() - lookedMs < LOOK_EVERY_MS) return;
  lookedMs = Date.now();
  refreshPage(0);
}

export function startModule(refresh) {
  refreshPage = refresh;
  document.addEventListener("click", touched);
  addEventListener("hashchange", reveal);
  onValues(showAges);
  onSwap(arrange);
  onSocket((socket) => {
    socket.on("module:timeline:updated", ({ moduleId }) => {
      if (watchedModules().includes(moduleId)) refresh(NEWS_EVERY_MS);
    });
  });
  arrange();
  lookedMs = Date.now();
  setInterval(look, LOOK_EVERY_MS);
}
