// Pages are made by the server; here parts of a fresh one take the place of old ones.
// What somebody is typing, and where the keyboard is, stays.

const swapped = new Set();

export function onSwap(listener) {
  swapped.add(listener);
}

export async function fetchPage(url, options = {}) {
  const response = await fetch(url, { credentials: "same-origin", headers: { Accept: "text/html" }, ...options });
  const text = await response.text();
  return { response, page: new DOMParser().parseFromString(text, "text/html") };
}

function isDirty(control) {
  if (control.type === "hidden" || control.type === "submit") return false;
  if (control.type === "checkbox" || control.type === "radio") return control.checked !== control.defaultChecked;
  if (control.tagName === "SELECT") return control.selectedIndex !== Math.max(0, [...control.options].findIndex((option) => option.defaultSelected));
  return control.value !== control.defaultValue;
}

export function isInUse(region) {
  if (region.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, summary, button")) return true;
  return [...region.querySelectorAll("input, select, textarea")].some(isDirty);
}

function typedOutside(form) {
  const controls = [...document.querySelectorAll("main input[id], main select[id], main textarea[id]")];
  return controls.filter((control) => control.form !== form && isDirty(control) && control.type !== "checkbox")
    .map((control) => [control.id, control.value]);
}

// The whole content, after a form was sent; what was typed into other forms is kept.
export function swapMain(page, form) {
  const fresh = page.querySelector("main");
  const typed = typedOutside(form);
  document.querySelector("main").replaceWith(document.importNode(fresh, true));
  swapFrame(page);
  document.title = page.title;
  document.body.dataset.page = page.body.dataset.page ?? "";
  for (const [id, value] of typed) {
    const control = document.getElementById(id);
    if (control) control.value = value;
  }
  for (const listener of swapped) listener();
}

// The forms of this page, for the session that made the other one; false when nobody is logged in there.
export function renewTokens(page) {
  const fresh = page.body.dataset.csrf;
  if (!fresh) return false;
  if (fresh !== document.body.dataset.csrf) {
    document.body.dataset.csrf = fresh;
    for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = fresh;
    document.querySelector("main > [data-logged-out]")?.remove();
  }
  return true;
}

export function isTyping() {
  return [...document.querySelectorAll("main input, main select, main textarea")].some(isDirty);
}

// What stands around the content and may change under it.
function swapFrame(page) {
  renewTokens(page);
  for (const part of [".nav", "#maintenance"]) {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (!old || !fresh) continue;
    // A menu that somebody has opened stays open.
    for (const menu of fresh.querySelectorAll("details")) menu.open = old.querySelector("details")?.open ?? false;
    if (!old.isEqualNode(fresh)) old.replaceWith(document.importNode(fresh, true));
  }
}

// Rows that stay are left alone (somebody may be ticking them); new ones come, old ones go.
function mergeRows(region, fresh) {
  const rows = (parent) => new Map([...parent.children].filter((row) => "row" in row.dataset).map((row) => [row.dataset.row, row]));
  const [old, wanted] = [rows(region), rows(fresh)];
  for (const [key, row] of old) if (!wanted.has(key)) row.remove();
  for (const [key, row] of wanted) if (!old.has(key)) region.append(document.importNode(row, true));
}

export function swapRegions(page) {
  for (const region of document.querySelectorAll("[data-refresh]")) {
    const name = region.dataset.refresh;
    // A place may be held for a part that comes once and then lives by itself: it goes by its id.
    const fresh = page.querySelector(`[data-refresh="${name}"]`) ?? (region.hidden ? page.getElementById(name) : null);
    if (!fresh) continue;
    if ("merge" in region.dataset) mergeRows(region, fresh);
    else if (!isInUse(region)) region.replaceWith(document.importNode(fresh, true));
  }
  swapFrame(page);
  for (const listener of swapped) listener();
}
