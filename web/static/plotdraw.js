// How it is drawn: a line for each reading with an axis for each unit; when it is zoomed out, a band from lowest to highest.

import uPlot from "./vendor/uPlot.esm.js";
import { columns } from "./plotdata.js";
import { clock, shown, zone } from "./words.js";
import { t } from "./language.js";

// Colour and dash: one of them alone must tell.
const LOOKS = [["--accent", []], ["--odd", [7, 4]], ["--warn", [2, 3]], ["--night", [10, 3, 2, 3]]];
const HEIGHT = 260;
const NARROW = 560;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function faint(name) {
  return `color-mix(in srgb, ${colour(name)} 22%, transparent)`;
}

function timeText(spanS) {
  if (spanS > 300 * 86400) return t("yyyy-MM-dd");
  if (spanS > 2 * 86400) return t("MM-dd HH:mm");
  return spanS > 600 ? t("HH:mm") : t("HH:mm:ss");
}

function scaleOf(line) {
  return line.unit || (line.isSwitch ? "switch" : "number");
}

function axes(lines, width) {
  const usual = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui, sans-serif" };
  const scales = [...new Set(lines.map(scaleOf))].slice(0, width < NARROW ? 2 : 4);
  const time = { ...usual, space: 90, values: (plot, splits) => {
    const pattern = timeText(plot.scales.x.max - plot.scales.x.min);
    return splits.map((at) => clock(at * 1000, pattern).replace(" UTC", ""));
  } };
  const others = scales.map((scale, place) => ({
    ...usual, scale, side: place % 2 ? 1 : 3, size: 54, grid: { ...usual.grid, show: place === 0 },
    label: lines.find((line) => scaleOf(line) === scale).unit || undefined, labelSize: 18, labelFont: usual.font,
    ...(scale === "switch" ? { splits: () => [0, 1], values: () => [t("no"), t("yes")] } : {}),
  }));
  return [time, ...others];
}

function said(line, value) {
  if (value === null || value === undefined) return "–";
  return (line.isSwitch ? shown(Number.isInteger(value) ? value === 1 : value) : shown(value)) + (line.unit ? ` ${line.unit}` : "");
}

function series(lines, stepMs) {
  const all = [{ label: zone === "UTC" ? t("Time (UTC)") : t("Time"), value: (_, at) => (at === null || at === undefined ? "–" : clock(at * 1000)) }];
  const bands = [];
  for (const line of lines) {
    const [name, dash] = LOOKS[line.place];
    const scale = scaleOf(line);
    const hidden = { scale, stroke: "transparent", width: 0, points: { show: false }, label: "", class: "plot-hidden", spanGaps: false };
    all.push({
      label: line.label, scale, stroke: colour(name), width: 2, dash, spanGaps: false, value: (_, value) => said(line, value),
      points: { size: 5, fill: colour(name) }, paths: line.isSwitch && !stepMs ? uPlot.paths.stepped({ align: 1 }) : undefined,
    }, hidden, { ...hidden });
    const at = all.length;
    if (stepMs) bands.push({ series: [at - 1, at - 2], fill: faint(name) });
  }
  return { all, bands };
}

function options(view, lines, width, zoomed) {
  const { all, bands } = series(lines, view.stepMs);
  const scales = { x: { range: () => [view.from / 1000, view.to / 1000] } };
  for (const line of lines) scales[scaleOf(line)] = line.isSwitch && !line.unit ? { range: [-0.1, 1.1] } : { auto: true };
  return {
    width, height: HEIGHT, series: all, bands, scales, axes: axes(lines, width),
    cursor: { drag: { x: true, y: false, setScale: false } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone === "UTC" ? "Etc/UTC" : zone),
    hooks: { setSelect: [(plot) => {
      const { left, width: wide } = plot.select;
      if (wide < 8) return;
      const [from, to] = [left, left + wide].map((at) => plot.posToVal(at, "x") * 1000);
      plot.setSelect({ left: 0, width: 0 }, false);
      zoomed(from, to);
    }] },
  };
}

export function data(view, lines) {
  const tables = lines.map(({ points }) => columns(points, view.stepMs));
  return tables.length === 1 ? tables[0] : uPlot.join(tables);
}

export function drawPlot(place, view, lines, zoomed) {
  return new uPlot(options(view, lines, place.clientWidth, zoomed), data(view, lines), place);
}

export function fit(plot, place) {
  if (plot && place.clientWidth) plot.setSize({ width: place.clientWidth, height: HEIGHT });
}
