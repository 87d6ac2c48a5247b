// How values and times are put into words; the same rules as the server's wording.py.

const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
export const STATUS_WORDS = {
  online: "Online", offline: "Offline", pending: "Waiting", rejected: "Rejected", sleeping: "Sleeping", unknown: "Unknown",
};
const REASON_WORDS = {
  hello: "said hello", will: "connection lost", goodbye: "signed off", silence: "silent too long",
  takeover: "connected again elsewhere", revoked: "access revoked", broker_lost: "the broker was away",
  data: "sent data", approved: "approved, not heard yet", never: "not heard yet", restart: "the gateway restarted",
};

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [, size, unit] = STEPS.find(([limit]) => whole < limit);
  return `${Math.floor(whole / size)} ${unit}`;
}

export function age(atMs, nowMs) {
  return atMs ? `${span((nowMs - atMs) / 1000)} ago` : "never";
}

export function until(atMs, nowMs) {
  if (atMs <= nowMs) return "now";
  const left = Math.floor((atMs - nowMs) / 1000);
  return left < 3600 ? `in ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : `in ${span(left)}`;
}

export function reason(code) {
  return REASON_WORDS[code] ?? String(code ?? "").replaceAll("_", " ");
}

export function shown(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === null || value === undefined) return "none";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
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
