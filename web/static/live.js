// The live stream: one snapshot, then changes with a sequence number; after a break it goes on from there.

import { setTime } from "./ages.js";
import { STATUS_WORDS, reason, shown, within } from "./words.js";

const LOST_AFTER_MS = 2000;
const WATCH_ALL = new Set(["dashboard", "modules", "waiting", "admin"]);
const SETTLED = new Set(["online", "offline", "sleeping", "unknown"]);

let seq = null;
let socket = null;
let lostTimer = null;
const statuses = new Map();
const listeners = new Set();

export function onValues(listener) {
  listeners.add(listener);
}

export function announce(text) {
  document.getElementById("announce").textContent = text;
}

function showLost(lost) {
  clearTimeout(lostTimer);
  const banner = document.getElementById("lost");
  if (lost) lostTimer = setTimeout(() => { banner.hidden = false; }, LOST_AFTER_MS);
  else banner.hidden = true;
}

const FIELDS = {
  status(element, value) {
    element.dataset.status = value;
    element.querySelector("use")?.setAttribute("href", `/static/icons.svg#${value}`);
    element.querySelector("[data-word]").textContent = STATUS_WORDS[value] ?? value;
  },
  reason(element, value) { element.textContent = reason(value); },
  since: setTime,
  last_seen: setTime,
  location(element, value) {
    element.textContent = value;
    element.parentElement.hidden = !value;
  },
};

// Returns whether the page lacks a place for something that came.
function applyTelemetry(places, values) {
  let missing = false;
  for (const place of places) {
    const wanted = new Set(Object.keys(values));
    for (const element of place.querySelectorAll("[data-key]")) {
      const value = within(values, element.dataset.key);
      wanted.delete(element.dataset.key);
      if (value === undefined) continue;
      const text = shown(value);
      if (element.textContent === text) continue;
      element.textContent = text;
      element.classList.remove("fresh");
      requestAnimationFrame(() => element.classList.add("fresh"));
    }
    if (wanted.size && place.matches(".values, .empty")) missing = true;
    if (wanted.size && place.matches("tr") && !place.querySelector("[data-key]")) missing = true;
  }
  return missing;
}

function applyTo(id, change) {
  const places = [...document.querySelectorAll(`[data-module="${CSS.escape(id)}"]`)];
  for (const [name, apply] of Object.entries(FIELDS)) {
    if (!(name in change)) continue;
    for (const place of places) for (const element of place.querySelectorAll(`[data-field="${name}"]`)) apply(element, change[name]);
  }
  if ("name" in change) {
    for (const place of places) for (const title of place.querySelectorAll('[data-field="title"]')) title.textContent = change.name || id;
  }
  if (!change.telemetry) return false;
  for (const listener of listeners) listener(id, change.telemetry);
  return applyTelemetry(places, change.telemetry);
}

// Whether the page must be made anew: somebody came, went, or was decided upon.
function changesHouse(id, change) {
  const before = statuses.get(id);
  if (change === null) return statuses.delete(id);
  if (!("status" in change)) return false;
  statuses.set(id, change.status);
  if (before === change.status) return false;
  if (document.body.dataset.page === "dashboard") return true;
  return before === undefined || !SETTLED.has(before) || !SETTLED.has(change.status);
}

function take(batch, refresh) {
  seq = batch.seq;
  const first = statuses.size === 0;
  let anew = false;
  let missing = false;
  for (const [id, change] of Object.entries(batch.modules)) {
    const before = statuses.get(id);
    if (changesHouse(id, change)) anew = !first || anew;
    if (change === null) continue;
    if (applyTo(id, change)) missing = true;
    if (!first && change.status && change.status !== before) tell(id, before, change);
  }
  if (anew) refresh(200);
  else if (missing) refresh(1000);
}

function tell(id, before, change) {
  const word = (STATUS_WORDS[change.status] ?? change.status).toLowerCase();
  if (change.status === "pending" && before === undefined) announce(`A new device is waiting: ${id}`);
  else if (document.body.dataset.page === "modules" && watched().length) announce(`${id} is ${word} now`);
}

function watched() {
  return [...document.querySelectorAll(".page-head[data-module]")].map((element) => element.dataset.module);
}

export function watch(since = null) {
  if (!socket?.connected) return;
  const page = document.body.dataset.page;
  socket.emit("client:authenticate", { page });
  const ids = watched();
  if (!ids.length && !WATCH_ALL.has(page)) return;
  socket.emit("modules:watch", { ...(ids.length ? { ids } : {}), ...(since === null ? {} : { since }) });
}

// Between the page's making and the stream's first word something may have come or gone.
function snapshot(batch, refresh) {
  const gone = [...statuses.keys()].filter((id) => !(id in batch.modules));
  const first = statuses.size === 0;
  take(batch, refresh);
  const rows = document.querySelector("[data-rows]");
  const lacks = () => Object.keys(batch.modules).some((id) => !rows.querySelector(`[data-row="${CSS.escape(id)}"]`));
  const page = document.body.dataset.page;
  if (first && (page === "waiting" || page === "dashboard" || (rows && !location.search && lacks()))) refresh(0);
  if (!first && !batch.since && gone.length) refresh(200);
}

export function startLive(refresh) {
  if (typeof io === "undefined") return;
  socket = io({ transports: ["websocket", "polling"] });
  socket.on("connect", () => {
    showLost(false);
    watch(seq);
  });
  socket.on("disconnect", (why) => {
    showLost(true);
    // The server ends the sockets of a session that is over.
    if (why === "io server disconnect") {
      refresh(0);
      setTimeout(() => socket.connect(), 3000);
    }
  });
  socket.on("connect_error", () => showLost(true));
  socket.on("client:auth:error", () => refresh(0));
  socket.on("modules:snapshot", (batch) => snapshot(batch, refresh));
  socket.on("modules:changes", (batch) => take(batch, refresh));
  for (const event of ["join:changed", "waiting:changed", "user:module:added", "user:module:removed", "admin:module:added",
    "admin:module:removed", "admin:user:registered", "admin:user:profile_updated"]) socket.on(event, () => refresh(100));
  socket.on("module:command:updated", (told) => {
    if (watched().includes(told.moduleId ?? told.module_id)) refresh(100);
  });
}
