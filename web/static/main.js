// Everything here is on top of pages that work without it.

import { startActivity } from "./activity.js";
import { startClock } from "./ages.js";
import { startBell } from "./bell.js";
import { enhanceForms, isLogin, loggedOut } from "./forms.js";
import { startLists, startPulse, tidyLists } from "./lists.js";
import { startLive, watch } from "./live.js";
import { startModules, startModulesPage } from "./modules.js";
import { startModule } from "./module.js";
import { fetchPage, isTyping, onSwap, swapRegions } from "./swap.js";
import { startUpdates } from "./updates.js";
import { startUploads } from "./upload.js";
import { zone } from "./words.js";

let pending = null;

function isSending() {
  return document.querySelector('form[aria-busy="true"]') !== null;
}

// The page's own parts, made anew by the server; several reasons within a moment are one.
function refresh(delayMs) {
  if (pending !== null) return;
  pending = setTimeout(async () => {
    pending = null;
    // What a form that is on its way answers may take the place of this page.
    if (isSending()) {
      refresh(300);
      return;
    }
    try {
      const asked = location.href;
      const { response, page } = await fetchPage(asked);
      if (location.href !== asked || isSending()) return;
      if (isLogin(response)) {
        if (isTyping()) loggedOut();
        else location.assign(response.url);
      } else if (response.ok) swapRegions(page);
      else if (response.status === 404) location.reload();
    } catch {
      // The banner says already that the connection is lost; the next change tries again.
    }
  }, delayMs);
}

async function plots() {
  if (document.querySelector("[data-plot]")) (await import("./plot.js")).startPlot();
}

// Until the person chooses a zone, pages go by the browser's; the server reads it here.
if (!document.documentElement.dataset.zone) document.cookie = `passerelle_zone=${zone}; path=/; max-age=31536000; samesite=lax`;

let page = location.pathname;
onSwap(() => {
  document.querySelector("main [data-focus]")?.focus();
  tidyLists();
  plots();
  if (page !== location.pathname) {
    page = location.pathname;
    watch();
    startModules();
  }
});
// Back and forward ask for their page; a place within this one is no other page.
const here = () => location.pathname + location.search;
let shown = here();
document.addEventListener("click", () => { shown = here(); }, true);
addEventListener("popstate", () => {
  if (here() !== shown) location.reload();
});

startClock(() => refresh(1500));
enhanceForms();
startLists();
tidyLists();
startModulesPage();
startPulse(refresh);
startUpdates(refresh);
startModule(refresh);
startUploads();
startBell(refresh);
startActivity();
startLive(refresh);
plots();
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
if (new URLSearchParams(location.search).has("notice")) {
  const url = new URL(location.href);
  url.searchParams.delete("notice");
  history.replaceState(null, "", url);
}
