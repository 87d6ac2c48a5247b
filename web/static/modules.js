// The page of all modules: searching, sorting and choosing without a reload, with the list's address as its memory.

import { announce, onChange, onHouse } from "./live.js";
import { plural, t } from "./language.js";
import { VirtualList } from "./virtual.js";

const NAMES = ["q", "status", "type", "group", "owner", "sort"];
const TYPING_MS = 150;
const REMEMBER_MS = 200;
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

const bulk = () => document.getElementById("bulk");
const filters = () => document.querySelector("[data-list-filter]");

let list = null;
let chosen = new Set();
let typing = null;
let again = null;

function wish() {
  const said = new URLSearchParams(location.search);
  const kept = new URLSearchParams();
  for (const name of NAMES) if (said.get(name)) kept.set(name, said.get(name));
  return kept;
}

function address(query) {
  const text = query.toString();
  return text ? `/modules?${text}` : "/modules";
}

function partOf(start, count) {
  const query = wish();
  query.set("start", start);
  query.set("count", count);
  return `/modules/rows?${query}`;
}

function showCounts(total, of) {
  const head = document.querySelector('[data-refresh="modules-count"]');
  const words = [plural("%(num)s module", "%(num)s modules", total)];
  if (total !== of) words.push(t("of %(total)s", { total: of }));
  if (head) head.textContent = words.join(" ");
  const all = document.querySelector("[data-all-words]");
  if (all) all.textContent = plural("%(num)s that matches", "All %(num)s that match", total);
}

// Choosing

const allBox = () => bulk()?.elements.namedItem("all") ?? null;

function dress(row, data) {
  const box = row.querySelector('input[name="id"]');
  if (!box) return;
  box.value = data.id;
  box.checked = chosen.has(data.id) || Boolean(allBox()?.checked);
  box.disabled = Boolean(allBox()?.checked);
  box.setAttribute("aria-label", t("Choose %(name)s", { name: data.title }));
  row.classList.toggle("chosen", box.checked);
}

function showChosen() {
  const words = document.querySelector("[data-chosen-count]");
  if (!words) return;
  const all = Boolean(allBox()?.checked);
  words.textContent = all || !chosen.size ? t("With the chosen modules") : plural("%(num)s chosen", "%(num)s chosen", chosen.size);
  document.querySelector("[data-bulk]").classList.toggle("active", all || chosen.size > 0);
}

function choose(target) {
  if (target.name === "all") {
    for (const row of list?.rows.values() ?? []) if (row.dataset.module) dress(row, { id: row.dataset.module, title: row.querySelector("a").textContent });
  } else {
    if (target.checked) chosen.add(target.value);
    else chosen.delete(target.value);
    target.closest("tr").classList.toggle("chosen", target.checked);
  }
  showChosen();
}

// Those that are not in sight have no box: all that are chosen go along in one field.
function gather(event) {
  if (event.target !== bulk() || !list) return;
  const form = event.target;
  form.elements.namedItem("back").value = address(wish());
  for (const field of form.querySelectorAll("[data-listing]")) field.value = wish().get(field.dataset.listing) ?? "";
  form.querySelector('[name="ids"]')?.remove();
  const ids = document.createElement("input");
  ids.type = "hidden";
  ids.name = "ids";
  ids.value = [...chosen].join(",");
  form.append(ids);
  remember();
}

// Searching and sorting

function showSort(sort) {
  const column = sort.replace(/^-/, "");
  for (const head of document.querySelectorAll("[data-virtual] th[data-column]")) {
    if (head.dataset.column === column) head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
    const query = wish();
    const turned = sort === head.dataset.column ? `-${sort}` : head.dataset.column;
    if (turned === "name") query.delete("sort");
    else query.set("sort", turned);
    head.querySelector("a").href = address(query);
  }
}

async function go(query, { replace = false } = {}) {
  const url = address(query);
  if (replace) history.replaceState(history.state, "", url);
  else history.pushState(null, "", url);
  showSort(query.get("sort") ?? "name");
  if (!list) {
    location.assign(url);
    return;
  }
  if (await list.reload(true)) announce(plural("%(num)s module", "%(num)s modules", list.total));
}

function asked() {
  const query = new URLSearchParams();
  const said = new FormData(filters());
  for (const name of NAMES) if (name !== "sort" && said.get(name)) query.set(name, said.get(name));
  const sort = wish().get("sort");
  if (sort) query.set("sort", sort);
  return query;
}

// Coming back

function remember() {
  if (!list?.ready) return;
  history.replaceState({ ...history.state, top: scrollY, chosen: [...chosen].slice(0, 5000) }, "");
}

let remembering = null;

function keepPlace() {
  clearTimeout(remembering);
  remembering = setTimeout(remember, REMEMBER_MS);
}

// By keyboard

function move(event) {
  const row = event.target.closest?.("[data-virtual] tbody tr[data-index]");
  if (!row || !list?.ready || event.altKey || event.ctrlKey || event.metaKey) return;
  const index = Number(row.dataset.index);
  const targets = {
    ...Object.fromEntries(Object.entries(STEPS).map(([key, step]) => [key, index + step])),
    PageDown: index + list.page(), PageUp: index - list.page(), Home: 0, End: list.total - 1,
  };
  if (!(event.key in targets)) return;
  event.preventDefault();
  list.focus(targets[event.key], event.target.matches("input") ? "input" : "a.title");
}

function reloadSoon(delayMs) {
  if (again !== null) return;
  again = setTimeout(() => {
    again = null;
    list?.reload();
  }, delayMs);
}

function changed(id, change) {
  if (!list) return;
  list.change(id, change);
  const query = wish();
  const matters = { status: ["status"], group: ["group"], name: ["q"], owner_id: ["owner"], location: ["q"] };
  const sort = (query.get("sort") ?? "name").replace(/^-/, "");
  const other = Object.entries(matters).some(([key, names]) => change && key in change && (names.some((name) => query.get(name)) || sort === key));
  if (other) reloadSoon(1000);
}

export async function startModules() {
  list?.stop();
  list = null;
  const table = document.querySelector("[data-virtual]");
  if (!table) return;
  const state = history.state ?? {};
  history.scrollRestoration = "manual";
  chosen = new Set(state.chosen ?? [...table.querySelectorAll('input[name="id"]:checked')].map((box) => box.value));
  const made = new VirtualList(table, document.getElementById("module-row"), { url: partOf, found: showCounts, dress });
  table.classList.add("virtual");
  // From here on the list looks after itself.
  table.closest("[data-refresh]")?.removeAttribute("data-refresh");
  document.querySelector("[data-pages]")?.setAttribute("hidden", "");
  list = made;
  const height = table.tBodies[0].rows[0]?.getBoundingClientRect().height ?? 60;
  const start = Number(table.dataset.start);
  const top = state.top ?? (start ? start * height + table.getBoundingClientRect().top + scrollY : null);
  await made.start(top === null ? 0 : Math.max(0, Math.floor((top - table.getBoundingClientRect().top) / height)));
  if (top !== null && list === made) {
    made.above.style.height = "0px";
    scrollTo({ top });
    made.draw();
  }
  showChosen();
}

export function startModulesPage() {
  onChange(changed);
  onHouse(() => reloadSoon(200));
  addEventListener("scroll", keepPlace, { passive: true });
  document.addEventListener("keydown", move);
  document.addEventListener("submit", gather, true);
  document.addEventListener("submit", (event) => {
    if (event.target !== filters() || !list) return;
    event.preventDefault();
    go(asked());
  });
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-list-filter] [name=q]") || !list) return;
    clearTimeout(typing);
    typing = setTimeout(() => go(asked(), { replace: true }), TYPING_MS);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-list-filter] select")) {
      if (list) go(asked());
      else event.target.form.requestSubmit();
    }
    if (event.target.matches('#bulk input[name="id"], #bulk input[name="all"]')) choose(event.target);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-virtual] [data-sort-by]");
    if (!link || !list || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(new URL(link.href).searchParams);
  });
  startModules();
}
