// The plot on a module's page: which readings, which time, live or standing still. The server's table is the same in text.

import { t } from "./language.js";
import { onValues } from "./live.js";
import { fetchPoints, livePoint, stepOf } from "./plotdata.js";
import { data, drawPlot, fit } from "./plotdraw.js";
import { clock, shown } from "./words.js";

const RANGES_MS = { "15m": 900e3, "1h": 3600e3, "6h": 21600e3, "24h": 86400e3, "7d": 7 * 86400e3, "30d": 30 * 86400e3, "90d": 90 * 86400e3, "1y": 365 * 86400e3, "2y": 730 * 86400e3 };
const SHORTEST_MS = 10e3;
const LONGEST_MS = 3 * 365 * 86400e3;
const MOST = 4;
const MOST_POINTS = 12000;
const TABLE_ROWS = 100;

let here = null;

function part(name) {
  return document.querySelector(`[data-plot-${name}]`);
}

function boxes() {
  return [...document.querySelectorAll('[data-plot-form] input[name="key"]')];
}

// A reading keeps its colour as long as it is on the plot.
function chosen() {
  const taken = new Map((here?.lines ?? []).map((line) => [line.key, line.place]));
  const ticked = boxes().filter((box) => box.checked);
  const used = new Set(ticked.map((box) => taken.get(box.value)).filter((place) => place !== undefined));
  return ticked.map((box) => {
    let place = taken.get(box.value);
    if (place === undefined) {
      place = [0, 1, 2, 3].find((free) => !used.has(free));
      used.add(place);
    }
    return { key: box.value, label: box.dataset.label, unit: box.dataset.unit, isSwitch: "switch" in box.dataset, place, points: [] };
  }).sort((one, other) => one.place - other.place);
}

function draw() {
  if (!here?.place.isConnected) return;
  here.plot?.destroy();
  here.plot = drawPlot(here.place, here.view, here.lines, (from, to) => go(from, to, false));
}

function showBoxes() {
  const places = new Map(here.lines.map((line) => [line.key, line.place]));
  for (const box of boxes()) {
    box.disabled = !box.checked && here.lines.length >= MOST;
    const label = box.closest("label");
    if (places.has(box.value)) label.dataset.line = places.get(box.value) + 1;
    else delete label.dataset.line;
  }
}

function showSpan() {
  const { view } = here;
  part("span").textContent = t("%(from)s to %(to)s", { from: clock(view.from), to: view.live ? t("now") : clock(view.to) });
  const note = part("note");
  note.hidden = !view.stepMs;
  if (view.stepMs) note.textContent = t("The line is the average, the band reaches from the lowest to the highest value.");
  here.place.setAttribute("aria-label", t("Plot of %(what)s", { what: here.lines.map(summary).join("; ") }));
}

function summary(line) {
  const values = line.points.map(([, value]) => value);
  if (!values.length) return t("%(label)s: nothing in this range", { label: line.label });
  const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  return t("%(label)s: from %(low)s to %(high)s, last %(last)s %(unit)s", { label: line.label, low: shown(low), high: shown(high), last: shown(values.at(-1)), unit: line.unit }).trim();
}

function showLinks() {
  const query = new URLSearchParams({ key: here.lines.map((line) => line.key).join(","), from: Math.floor(here.view.from), to: Math.ceil(here.view.to) });
  for (const link of document.querySelectorAll("[data-plot-export]")) {
    const own = new URLSearchParams(query);
    if (link.dataset.plotExport === "shown" && here.view.stepMs) own.set("step", here.view.stepMs);
    link.href = `${link.getAttribute("href").split("?")[0]}?${own}`;
  }
}

function cell(tag, text, kind) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  if (tag === "th") made.scope = "col";
  return made;
}

function showTable() {
  const table = part("table");
  const region = table.querySelector(".history");
  const rows = new Map();
  here.lines.forEach((line, column) => {
    for (const [at, value] of line.points.slice(-TABLE_ROWS)) {
      if (!rows.has(at)) rows.set(at, here.lines.map(() => ""));
      rows.get(at)[column] = line.isSwitch && !here.view.stepMs ? shown(value === 1) : shown(value);
    }
  });
  const newest = [...rows].sort(([one], [other]) => other - one).slice(0, TABLE_ROWS);
  const head = document.createElement("tr");
  head.append(cell("th", t("Time")), ...here.lines.map((line) => cell("th", line.unit ? `${line.label} (${line.unit})` : line.label)));
  region.querySelector("thead").replaceChildren(head);
  region.querySelector("tbody").replaceChildren(...newest.map(([at, texts]) => {
    const row = document.createElement("tr");
    row.append(cell("td", clock(at), "num nowrap"), ...texts.map((text) => cell("td", text, "num")));
    return row;
  }));
  region.hidden = !newest.length;
  table.querySelector("[data-plot-none]").hidden = newest.length > 0;
}

// Only the newest question counts: somebody may click faster than the network answers.
async function load() {
  const asked = { ...here.view };
  here.asking = asked;
  const { lines, id } = here;
  const found = await Promise.all(lines.map((line) => fetchPoints(id, line.key, asked.from, asked.to, asked.stepMs)));
  if (here.asking !== asked || here.lines !== lines) return;
  lines.forEach((line, index) => { line.points = found[index] ?? line.points; });
  here.loadedAt = Date.now();
  here.place.hidden = false;
  draw();
  showSpan();
  showLinks();
  showTable();
}

function go(from, to, live) {
  const middle = (from + to) / 2;
  const span = Math.min(Math.max(to - from, SHORTEST_MS), LONGEST_MS);
  here.view.live = live;
  here.view.to = live ? Date.now() : Math.min(middle + span / 2, Date.now() + 86400e3);
  here.view.from = here.view.to - span;
  here.view.stepMs = stepOf(span);
  load();
}

function reset() {
  const select = document.getElementById("plot-range");
  const { first } = here;
  const range = RANGES_MS[select.value];
  if (range) go(Date.now() - range, Date.now(), true);
  else go(first.from, first.to, false);
}

const MOVES = {
  back: ({ from, to }) => go(from - (to - from) / 2, to - (to - from) / 2, false),
  on: ({ from, to }) => go(from + (to - from) / 2, to + (to - from) / 2, to + (to - from) / 2 >= Date.now()),
  in: ({ from, to, live }) => (live ? go((from + to) / 2, to, true) : go(from + (to - from) / 4, to - (to - from) / 4, false)),
  out: ({ from, to, live }) => (live ? go(from - (to - from), to, true) : go(from - (to - from) / 2, to + (to - from) / 2, false)),
  reset,
};
const KEYS = { ArrowLeft: "back", ArrowRight: "on", "+": "in", "=": "in", "-": "out", 0: "reset" };

onValues((id, values) => {
  if (!here || id !== here.id || !here.view.live || here.view.stepMs) return;
  let some = false;
  for (const line of here.lines) {
    const point = livePoint(values, line.key);
    if (!point) continue;
    line.points.push(point);
    some = true;
    while (line.points.length > MOST_POINTS || line.points[0]?.[0] < here.view.from - 60e3) line.points.shift();
  }
  if (some) onward();
});

function onward() {
  const span = here.view.to - here.view.from;
  here.view.to = Date.now();
  here.view.from = here.view.to - span;
  here.plot?.setData(data(here.view, here.lines));
}

// Live plots go on with the time; of buckets, a fresh one comes with each step.
setInterval(() => {
  if (!here?.place.isConnected || !here.view.live || document.hidden) return;
  if (!here.view.stepMs) onward();
  else if (Date.now() - here.loadedAt >= Math.max(here.view.stepMs, 15e3)) go(here.view.from, here.view.to, true);
}, 2000);

function remember() {
  const query = new URLSearchParams(new FormData(part("form")));
  if (query.get("range") !== "free") for (const name of ["from", "to", "zone"]) query.delete(name);
  history.replaceState(null, "", `${location.pathname}?${query}${location.hash}`);
}

function showFree() {
  const free = document.getElementById("plot-range").value === "free";
  for (const field of document.querySelectorAll("[data-plot-free]")) field.hidden = !free;
  part("go").hidden = !free;
}

function listen(form) {
  form.addEventListener("change", (event) => {
    showFree();
    const isKey = event.target.name === "key";
    if (!isKey && event.target.name !== "range") return;
    if (isKey) {
      here.lines = chosen();
      if (!here.lines.length) {
        event.target.checked = true;
        here.lines = chosen();
      }
      showBoxes();
      load();
    } else if (RANGES_MS[event.target.value]) reset();
    if (isKey || RANGES_MS[event.target.value]) remember();
  });
  for (const button of document.querySelectorAll("[data-plot-move]")) {
    button.addEventListener("click", () => MOVES[button.dataset.plotMove](here.view));
  }
  here.place.addEventListener("keydown", (event) => {
    const move = KEYS[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    MOVES[move](here.view);
  });
}

for (const query of ["(prefers-color-scheme: dark)"]) matchMedia(query).addEventListener("change", draw);

export function startPlot() {
  const place = document.querySelector("[data-plot]");
  if (!place || place === here?.place) return;
  const [from, to] = [Number(place.dataset.from), Number(place.dataset.to)];
  const live = document.getElementById("plot-range").value !== "free";
  const view = { from, to, live, stepMs: stepOf(to - from) };
  here = { place, id: place.dataset.plot, view, first: { from, to }, lines: [], plot: null, asking: null, loadedAt: 0 };
  here.lines = chosen().slice(0, MOST);
  part("tools").hidden = false;
  part("help").hidden = false;
  showFree();
  showBoxes();
  listen(part("form"));
  new ResizeObserver(() => fit(here?.plot, place)).observe(place);
  load();
}
