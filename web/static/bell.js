// The bell: how many alerts are new, as they come; the page of alerts is made anew with each.

import { plural, t } from "./language.js";
import { announce, onSocket } from "./live.js";

const LATER_MS = 250;
let known = null;

function show(unseen) {
  const bell = document.querySelector("[data-bell]");
  if (!bell) return;
  bell.querySelector("[data-unseen]").hidden = unseen === 0;
  bell.querySelector("[data-unseen-count]").textContent = unseen;
  bell.querySelector("[data-unseen-words]").textContent = plural("%(num)s new", "%(num)s new", unseen);
}

function shown() {
  return Number(document.querySelector("[data-unseen-count]")?.textContent ?? 0);
}

// What came between the page's making and the stream's first word.
async function catchUp() {
  const response = await fetch("/api/v1/notifications?limit=20", { credentials: "same-origin" }).catch(() => null);
  if (!response?.ok) return;
  const unseen = (await response.json()).items.filter(({ seen }) => !seen).length;
  if (known === null && unseen > shown()) show(unseen);
}

export function startBell(refresh) {
  onSocket((socket) => {
    socket.on("connect", catchUp);
    socket.on("notifications:changed", ({ unseen }) => {
      if (unseen > (known ?? shown())) announce(t("A new alert"));
      known = unseen;
      show(unseen);
      if (["notifications", "dashboard"].includes(document.body.dataset.page)) refresh(LATER_MS);
    });
  });
}
