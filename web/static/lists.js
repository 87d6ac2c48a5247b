// Lists: filtering while one types, choosing all, and selects that need no button.

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

export function tidyLists() {
  const search = document.querySelector("[data-filter] [name=q]");
  if (search && search.value !== search.defaultValue) filterRows(search.value);
  const all = document.querySelector("[data-pick-all]");
  if (all) all.hidden = false;
  const decide = document.querySelector("[data-decide]");
  if (decide) decide.hidden = !document.querySelector('#decide input[name="id"]');
}

export function startLists() {
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-filter] [name=q]")) filterRows(event.target.value);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-filter] select, [data-plot-form] select")) event.target.form.requestSubmit();
    if (event.target.id === "pick-all") {
      for (const box of document.querySelectorAll('#decide input[name="id"]')) box.checked = event.target.checked;
    }
  });
}
