// How values and times are put into words; the same rules as the server's wording.py.

import { language, later, t } from "./language.js";

const STEPS = [
  [60, 1, later("%(count)s s")], [3600, 60, later("%(count)s min")], [86400, 3600, later("%(count)s h")],
  [Infinity, 86400, later("%(count)s d")],
];
const STATUS_WORDS = {
  online: later("Online"), offline: later("Offline"), pending: later("Waiting"), rejected: later("Rejected"),
  sleeping: later("Sleeping"), unknown: later("Unknown"),
};
const REASON_WORDS = {
  hello: later("said hello"), will: later("connection lost"), goodbye: later("signed off"), silence: later("silent too long"),
  takeover: later("connected again elsewhere"), revoked: later("access revoked"), broker_lost: later("the broker was away"),
  data: later("sent data"), approved: later("approved, not heard yet"), never: later("not heard yet"),
  restart: later("the gateway restarted"),
};
const POINT = new Intl.NumberFormat(language).formatToParts(1.5).find(({ type }) => type === "decimal")?.value ?? ".";
// The zone that the person chose, or else the browser's own.
export const zone = document.documentElement.dataset.zone || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const CLOCK = new Intl.DateTimeFormat("en", {
  timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const SIGNS = [["yyyy", "year"], ["MM", "month"], ["dd", "day"], ["HH", "hour"], ["mm", "minute"], ["ss", "second"]];

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [, size, text] = STEPS.find(([limit]) => whole < limit);
  return t(text, { count: Math.floor(whole / size) });
}

export function age(atMs, nowMs) {
  return atMs ? t("%(time)s ago", { time: span((nowMs - atMs) / 1000) }) : t("never");
}

export function until(atMs, nowMs) {
  if (atMs <= nowMs) return t("now");
  const left = Math.floor((atMs - nowMs) / 1000);
  return t("in %(time)s", { time: left < 3600 ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : span(left) });
}

// A time on the clock of who looks, as `2026-11-21 18:31:55`.
export function clock(atMs, pattern = t("yyyy-MM-dd HH:mm:ss")) {
  const parts = Object.fromEntries(CLOCK.formatToParts(atMs).map(({ type, value }) => [type, value]));
  const text = SIGNS.reduce((said, [sign, part]) => said.replace(sign, parts[part]), pattern);
  return zone === "UTC" ? `${text} UTC` : text;
}

export function statusWord(status) {
  return Object.hasOwn(STATUS_WORDS, status) ? t(STATUS_WORDS[status]) : status;
}

export function reason(code) {
  return Object.hasOwn(REASON_WORDS, code) ? t(REASON_WORDS[code]) : String(code ?? "").replaceAll("_", " ");
}

// So many digits behind the point, or the comma.
export function fixed(value, digits) {
  return value.toFixed(digits).replace(".", POINT);
}

export function shown(value) {
  if (typeof value === "boolean") return value ? t("yes") : t("no");
  if (value === null || value === undefined) return t("none");
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6))).replace(".", POINT);
  if (typeof value === "string") return value.slice(0, 200);
  return JSON.stringify(value).slice(0, 200);
}

function own(values, key) {
  return values !== null && typeof values === "object" && Object.hasOwn(values, key) ? values[key] : undefined;
}

// `lamp.on` within {lamp: {on: true}}; undefined when it is not there.
export function within(values, key) {
  return Object.hasOwn(values, key) ? values[key] : key.split(".").reduce(own, values);
}
