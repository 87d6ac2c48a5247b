// The live stream: one snapshot, then changes with a sequence number; after a break it goes on from there.

import { setTime } from "./ages.js";
import { later, plural, t } from "./language.js";
import { reason, shown, statusWord, within } from "./words.js";

const LOST_AFTER_MS = 2000;
const WATCH_ALL = new Set(["dashboard", "modules"]);
const SETTLED = new Set(["online", "offline", "sleeping", "unknown"]);

const ENDED_WORDS = {
  done: later("done"), failed: later("failed"), rejected: later("rejected"), expired: later("expired"), canceled: later("canceled"),
};

let seq = null;
let socket = null;
let lostTimer = null;
const statuses = new Map();
const listeners = new Set();

export function onValues(listener) {
  listeners.add(listener);
}

const openers = new Set();

// Other parts of the page listen to the same stream.
export function onSocket(listener) {
  openers.add(listener);
}

const changeListeners = new Set();
const houseListeners = new Set();

// What changed of each module (null: it is gone), whether the page shows it or not.
export function onChange(listener) {
  changeListeners.add(listener);
}

// Somebody came, went, or was decided upon.
export function onHouse(listener) {
  houseListeners.add(listener);
}

function houseChanged(refresh, delayMs) {
  for (const listener of houseListeners) listener();
  refresh(delayMs);
}

export function announce(text) {
  document.getElementById("announce").textContent = text;
}

function showMaintenance({ inMaintenance, reason: why }) {
  const banner = document.getElementById("maintenance");
  if (banner.hidden === !inMaintenance && banner.querySelector("[data-reason]").textContent === why) return;
  banner.querySelector("[data-reason]").textContent = why;
  banner.hidden = !inMaintenance;
  announce(inMaintenance ? t("Maintenance. %(reason)s", { reason: why }) : t("Maintenance is over"));
}

// What was said while the line was down.
async function askMaintenance() {
  const response = await fetch("/api/v1/maintenance").catch(() => null);
  if (!response?.ok) return;
  const { on, reason: why } = await response.json();
  showMaintenance({ inMaintenance: on, reason: why });
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
    element.querySelector("[data-word]").textContent = statusWord(value);
  },
  reason(element, value) { element.textContent = reason(value); },
  unstable(element, value) { element.hidden = !value; },
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

// One look at the page for a whole batch: it may be about thousands.
function placesById() {
  const found = new Map();
  for (const element of document.querySelectorAll("[data-module]")) {
    const { module } = element.dataset;
    if (found.has(module)) found.get(module).push(element);
    else found.set(module, [element]);
  }
  return found;
}

function applyTo(id, change, places) {
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
  if (before !== undefined && "owner_id" in change && watchedModules().includes(id)) return true;
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
  const places = placesById();
  for (const [id, change] of Object.entries(batch.modules)) {
    const before = statuses.get(id);
    if (changesHouse(id, change)) anew = !first || anew;
    for (const listener of changeListeners) listener(id, change);
    if (change === null) continue;
    if (applyTo(id, change, places.get(id) ?? [])) missing = true;
    if (!first && change.status && change.status !== before) tell(id, change);
  }
  if (anew) houseChanged(refresh, 200);
  else if (missing) houseChanged(refresh, 1000);
}

function tell(id, change) {
  const word = statusWord(change.status).toLowerCase();
  if (document.body.dataset.page === "modules" && watchedModules().length) announce(t("%(id)s: %(state)s", { id, state: word }));
}

export function watchedModules() {
  return [...document.querySelectorAll(".page-head[data-module]")].map((element) => element.dataset.module);
}

export function watch(since = null) {
  if (!socket?.connected) return;
  const ids = watchedModules();
  if (!ids.length && !WATCH_ALL.has(document.body.dataset.page)) return;
  socket.emit("modules:watch", { ...(ids.length ? { ids } : {}), ...(since === null ? {} : { since }) });
}

// Between the page's making and the stream's first word something may have come or gone.
function snapshot(batch, refresh) {
  const gone = [...statuses.keys()].filter((id) => !(id in batch.modules));
  const first = statuses.size === 0;
  take(batch, refresh);
  const list = document.querySelector("[data-virtual]");
  const differs = list && Object.keys(batch.modules).length !== Number(list.dataset.total);
  if ((first && differs) || gone.length) houseChanged(refresh, 200);
}

export function startLive(refresh) {
  if (typeof io === "undefined") return;
  socket = io({ transports: ["websocket", "polling"] });
  for (const open of openers) open(socket);
  socket.on("connect", () => {
    showLost(false);
    askMaintenance();
    // Between the page's making and this moment something may have come or gone.
    if (["dashboard", "waiting"].includes(document.body.dataset.page)) refresh(0);
    watch(seq);
  });
  socket.on("disconnect", (why) => {
    showLost(true);
    // The server ends the sockets of a session that is over; the fresh page says so.
    if (why === "io server disconnect") {
      refresh(0);
      setTimeout(() => socket.connect(), 3000);
    }
  });
  socket.on("connect_error", () => {
    showLost(true);
    if (!socket.active) refresh(0);
  });
  socket.on("modules:snapshot", (batch) => snapshot(batch, refresh));
  socket.on("modules:changes", (batch) => take(batch, refresh));
  socket.on("system:maintenance", (change) => {
    showMaintenance(change);
    if (document.body.dataset.page === "admin") refresh(100);
  });
  socket.on("join:changed", () => refresh(100));
  socket.on("waiting:changed", ({ waiting }) => {
    announce(plural("%(num)s device is waiting", "%(num)s devices are waiting", waiting));
    refresh(100);
  });
  socket.on("module:command:updated", (command) => {
    if (!watchedModules().includes(command.module_id)) return;
    if (Object.hasOwn(ENDED_WORDS, command.status)) announce(t("%(id)s: %(state)s", { id: command.name, state: t(ENDED_WORDS[command.status]) }));
    refresh(100);
  });
}
