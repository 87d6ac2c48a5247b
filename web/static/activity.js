// What people and the house do, as it happens: on top of the list that the server made.

import { t } from "./language.js";
import { onSocket } from "./live.js";
import { clock, reason, statusWord } from "./words.js";

const MOST = 200;
const MAX_TEXT = 300;
// What comes while the list stands still is kept, so many of it.
const MOST_WAITING = 200;

let paused = false;
let waiting = [];
let missed = 0;

const user = ({ user: who }) => [who?.username ?? "?", ""];
const about = (data) => [data?.module?.id ?? data?.moduleId ?? data?.id ?? "", data?.module?.name ?? ""];

// Each event: what it is called here, and who or what it is about.
const EVENTS = {
  "admin:action:performed": (data) => [data.adminName, data.action, data.subject, data.details],
  "admin:user:logged_in": (data) => [user(data)[0], t("logged in")],
  "admin:user:logged_out": (data) => [user(data)[0], t("logged out")],
  "admin:user:registered": (data) => [user(data)[0], t("has an account")],
  "admin:user:profile_updated": (data) => [user(data)[0], t("was changed")],
  "admin:module:added": (data) => [about(data)[0], t("module came"), about(data)[1]],
  "admin:module:removed": (data) => [about(data)[0], t("module went")],
  "module:status:changed": (data) => [about(data)[0], statusWord(data.status), reason(data.reason)],
  "system:alert": (data) => [t("Gateway"), data.level ?? "", data.message ?? ""],
  "system:maintenance": (data) => [t("Gateway"), data.inMaintenance ? t("maintenance began") : t("maintenance ended"), data.reason ?? ""],
};

function list() {
  return document.querySelector("[data-activity]");
}

function words(value) {
  if (value === null || value === undefined || value === "") return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text === "{}") return "";
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function item(at, [who, what, subject, details]) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = clock(at);
  const line = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = words(who);
  line.append(strong, ...[what, subject].map(words).filter(Boolean).map((text) => ` · ${text}`));
  row.append(time, line);
  if (words(details)) {
    const more = document.createElement("span");
    more.className = "sub mono";
    more.textContent = words(details);
    row.append(more);
  }
  return row;
}

function filter() {
  const wanted = document.querySelector("[data-activity-filter]").value.trim().toLowerCase();
  for (const row of list().children) row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
}

function put(row) {
  const place = list();
  if (!place) return;
  place.prepend(row);
  while (place.children.length > MOST) place.lastElementChild.remove();
  filter();
}

function happened(name, data) {
  if (!list()) return;
  const row = item(data?.timestamp ?? Date.now(), EVENTS[name](data ?? {}));
  if (!paused) put(row);
  else if (waiting.push(row) > MOST_WAITING) {
    waiting.shift();
    missed += 1;
  }
  showPause();
}

function showPause() {
  const button = document.querySelector("[data-activity-pause]");
  const count = waiting.length + missed;
  button.setAttribute("aria-pressed", String(paused));
  const text = !paused ? t("Pause") : count ? t("Go on (%(count)s new)", { count }) : t("Go on");
  button.querySelector("span").textContent = text;
}

function toggle() {
  paused = !paused;
  if (!paused) {
    for (const row of waiting) put(row);
    waiting = [];
    missed = 0;
  }
  showPause();
}

onSocket((socket) => {
  // Once for all pages: a page without the list hears nothing of it.
  socket.on("connect", () => { if (list()) socket.emit("client:page:changed", { page: "admin" }); });
  for (const name of Object.keys(EVENTS)) socket.on(name, (data) => happened(name, data));
});

export function startActivity() {
  const tools = document.querySelector("[data-activity-tools]");
  if (!tools || !tools.hidden) return;
  tools.hidden = false;
  document.querySelector("[data-activity-again]").hidden = true;
  tools.querySelector("[data-activity-pause]").addEventListener("click", toggle);
  tools.querySelector("[data-activity-filter]").addEventListener("input", filter);
}
