// Lists: filtering while one types, choosing all, and selects that need no button.

import { fetchPage } from "./swap.js";

function filterRows(text) {
  const rows = document.querySelectorAll("[data-rows] > tr");
  const wanted = text.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = Boolean(wanted) && !row.cells[0].textContent.toLowerCase().includes(wanted);
    if (!row.hidden) shown += 1;
  }
  const count = document.querySelector("[data-shown-count]");
  if (count) count.textContent = shown;
}

let asking = null;

// A list that is only part of the whole is searched by the server, a moment after the last key.
function askServer(form) {
  clearTimeout(asking);
  asking = setTimeout(async () => {
    const url = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
    const { response, page } = await fetchPage(url);
    if (!response.ok) return;
    history.replaceState(null, "", url);
    for (const part of ['[data-refresh="modules"]', "[data-shown-count]", "[data-more]"]) {
      document.querySelector(part).replaceWith(document.importNode(page.querySelector(part), true));
    }
  }, 300);
}

export function tidyLists() {
  const search = document.querySelector("[data-filter] [name=q]");
  if (search && search.value !== search.defaultValue && !("partial" in search.form.dataset)) filterRows(search.value);
  const all = document.querySelector("[data-pick-all]");
  if (all) all.hidden = false;
  const decide = document.querySelector("[data-decide]");
  if (decide) decide.hidden = !document.querySelector('#decide input[name="id"]');
}

export function startLists() {
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-filter] [name=q]")) return;
    if ("partial" in event.target.form.dataset) askServer(event.target.form);
    else filterRows(event.target.value);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-filter] select, [data-plot-form] select")) event.target.form.requestSubmit();
    if (event.target.id === "pick-all") {
      for (const box of document.querySelectorAll('#decide input[name="id"]')) box.checked = event.target.checked;
    }
  });
}
