// One reading over time, drawn by uPlot; the table below it says the same in text.

import uPlot from "./vendor/uPlot.esm.js";
import { onValues } from "./live.js";
import { shown, within } from "./words.js";

const LIMIT = 5000;
let plot = null;
let current = null;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function number(value) {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" ? value : null;
}

// A silence is shown as a gap, not as a line across it.
function withGaps(points, stepMs) {
  const steps = points.slice(1).map(([at], index) => at - points[index][0]).sort((a, b) => a - b);
  const usual = stepMs || steps[Math.floor(steps.length / 2)] || 1000;
  const limit = Math.max(usual * (stepMs ? 2.5 : 10), stepMs ? 0 : 60000);
  const [times, values] = [[], []];
  for (const [at, value] of points) {
    const last = times.at(-1);
    if (last !== undefined && at - last * 1000 > limit) {
      times.push((last * 1000 + usual) / 1000);
      values.push(null);
    }
    times.push(at / 1000);
    values.push(value);
  }
  return [times, values];
}

// Times are UTC, as everywhere on our pages; days only where hours would not tell.
function clock(seconds, withDay) {
  const iso = new Date(seconds * 1000).toISOString();
  return withDay ? `${iso.slice(5, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
}

function options(place) {
  const withDay = current.rangeS > 86400;
  const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui, sans-serif" };
  const unit = place.dataset.unit ? ` ${place.dataset.unit}` : "";
  return {
    width: place.clientWidth, height: 240, cursor: { drag: { x: true, y: false } },
    scales: { x: { range: () => [Date.now() / 1000 - current.rangeS, Date.now() / 1000] } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    axes: [{ ...axis, space: withDay ? 90 : 60, values: (_, splits) => splits.map((at) => clock(at, withDay)) }, { ...axis, size: 56 }],
    series: [
      { label: "Time (UTC)", value: (_, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(0, 19).replace("T", " ")) },
      { label: place.dataset.label, stroke: colour("--accent"), width: 2, spanGaps: false, points: { size: 5, fill: colour("--accent") }, value: (_, value) => (value === null ? "–" : shown(value) + unit) },
    ],
  };
}

function draw() {
  if (!current?.place.isConnected) return;
  plot?.destroy();
  plot = new uPlot(options(current.place), withGaps(current.points, current.stepMs), current.place);
}

async function load(place) {
  const { plot: id, keyName: key, rangeS, stepMs } = place.dataset;
  const query = new URLSearchParams({ key, from: Date.now() - rangeS * 1000, limit: LIMIT });
  if (Number(stepMs)) query.set("step", stepMs);
  const response = await fetch(`/api/v1/modules/${encodeURIComponent(id)}/telemetry?${query}`, { credentials: "same-origin" });
  if (!response.ok) return;
  const { items } = await response.json();
  const points = items.map(({ ts, value }) => [ts, number(value)]).filter(([, value]) => value !== null);
  place.hidden = false;
  current = { place, id, key, rangeS: Number(rangeS), stepMs: Number(stepMs), points };
  draw();
  new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: 240 })).observe(place);
}

onValues((id, values) => {
  if (!current || id !== current.id) return;
  const value = number(within(values, current.key));
  if (value === null) return;
  current.points.push([Date.now(), value]);
  const oldest = Date.now() - current.rangeS * 1000;
  while (current.points.length > LIMIT || current.points[0]?.[0] < oldest) current.points.shift();
  plot?.setData(withGaps(current.points, current.stepMs));
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

export function startPlot() {
  const place = document.querySelector("[data-plot]");
  const button = document.querySelector("[data-plot-go]");
  if (button) button.hidden = true;
  if (place && place !== current?.place) load(place);
}
