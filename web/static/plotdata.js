// What a plot shows: fetched by key and window, with silences as gaps, one after another on one axis of time.

import { within } from "./words.js";

const LIMIT = 10000;
const RAW_UP_TO_MS = 3600e3;
const STEPS_MS = [15e3, 30e3, 60e3, 300e3, 900e3, 3600e3, 21600e3, 86400e3];
const MOST_STEPS = 1500;

// The same rule as the server's: up to an hour every reading, then the first step of which so many fit.
export function stepOf(spanMs) {
  if (spanMs <= RAW_UP_TO_MS) return 0;
  return STEPS_MS.find((step) => spanMs / step <= MOST_STEPS) ?? STEPS_MS.at(-1);
}

export function number(value) {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" ? value : null;
}

// [at ms, value, lowest, highest] in order of time; null when it could not be had.
export async function fetchPoints(id, key, fromMs, toMs, stepMs) {
  const query = new URLSearchParams({ key, from: Math.max(0, Math.floor(fromMs)), to: Math.ceil(toMs), limit: LIMIT });
  if (stepMs) {
    query.set("step", stepMs);
    query.set("aggregate", "all");
  }
  const response = await fetch(`/api/v1/modules/${encodeURIComponent(id)}/telemetry?${query}`, { credentials: "same-origin" }).catch(() => null);
  if (!response?.ok) return null;
  const { items } = await response.json();
  const points = items.map(({ ts, value }) => (stepMs ? [ts, value.avg, value.min, value.max] : [ts, number(value), null, null]));
  return points.filter(([, value]) => value !== null);
}

export function livePoint(values, key) {
  const value = number(within(values, key));
  return value === null ? null : [Date.now(), value, null, null];
}

// How long nothing may be heard before it counts as a gap: by what is usual for these points.
function gapOf(points, stepMs) {
  const steps = points.slice(1).map(([at], index) => at - points[index][0]).sort((a, b) => a - b);
  const usual = Math.max(steps[Math.floor(steps.length / 2)] ?? 1000, stepMs, 1);
  return { usual, limit: Math.max(usual * (stepMs ? 2.5 : 10), stepMs ? 0 : 60000) };
}

// Columns for uPlot: seconds, value, lowest, highest; a silence has a row without values.
export function columns(points, stepMs) {
  const { usual, limit } = gapOf(points, stepMs);
  const table = [[], [], [], []];
  const push = (row) => row.forEach((cell, column) => table[column].push(cell));
  let last = null;
  for (const [at, value, low, high] of points) {
    if (last !== null && at - last > limit) push([(last + usual) / 1000, null, null, null]);
    push([at / 1000, value, low, high]);
    last = at;
  }
  return table;
}
