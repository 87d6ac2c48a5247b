// Updates as they happen: bars move in place and never back; a new state makes its part of the page anew.

import { later, t } from "./language.js";
import { announce, onSocket, watchedModules } from "./live.js";
import { onSwap } from "./swap.js";
import { fixed, span, zone } from "./words.js";

const UNITS = [[1e3, 1, later("B"), 0], [1e6, 1e3, later("kB"), 1], [1e9, 1e6, later("MB"), 2]];
const WORDS = {
  confirmed: later("confirmed"), failed: later("failed"), rolled_back: later("rolled back"), cancelled: later("cancelled"),
};
const LATER_MS = 250;
const latest = new Map();
const MOST = 2000;

// The same words as the server's updatewords.py.
export function size(count) {
  const [, unit, name, digits] = UNITS.find(([limit]) => count < limit) ?? [0, 1e6, "MB", 0];
  return `${fixed(count / unit, digits)} ${t(name)}`;
}

export function left(seconds) {
  return seconds === null || seconds === undefined ? "" : t("%(time)s left", { time: span(Math.max(1, seconds)) });
}

function part(place, name, text) {
  const element = place.querySelector(`[data-part="${name}"]`);
  if (element && element.textContent !== text) element.textContent = text;
}

export function showProgress(place, { received, size: whole, rate, eta }) {
  const bar = place.querySelector("progress");
  if (!bar) return;
  const percent = whole ? Math.floor((received * 100) / whole) : 0;
  bar.max = whole || 1;
  bar.value = received;
  bar.textContent = `${percent} %`;
  part(place, "percent", `${percent} %`);
  part(place, "bytes", t("%(part)s of %(whole)s", { part: size(received), whole: size(whole) }));
  part(place, "rate", rate ? `${size(Math.round(rate))}/s` : "");
  part(place, "eta", left(eta));
}

function places(id) {
  return [...document.querySelectorAll(`[data-job="${CSS.escape(id)}"]`)];
}

// What came by itself may be newer than the page that was being made meanwhile.
function remember(job) {
  const before = latest.get(job.id);
  if (before && before.attempt === job.attempt && before.received > job.received) job = { ...job, received: before.received };
  latest.delete(job.id);
  latest.set(job.id, job);
  if (latest.size > MOST) latest.delete(latest.keys().next().value);
  return job;
}

function isSame(place, job) {
  return place.dataset.state === job.state && place.dataset.attempt === String(job.attempt);
}

function isShownHere(job) {
  const page = document.body.dataset.page;
  if (page === "modules") return watchedModules().includes(job.module);
  if (page === "rollouts") return document.querySelector(`[data-rollout="${job.rollout_id}"]`) !== null;
  return page === "firmware" || (page === "dashboard" && job.state in WORDS);
}

function tell(job) {
  if (job.state in WORDS && job.module) announce(t("The update of %(id)s: %(state)s", { id: job.module, state: t(WORDS[job.state]) }));
}

function takeJob(said, refresh) {
  const before = latest.get(said.id);
  const job = remember(said);
  const found = places(job.id);
  for (const place of found) if (isSame(place, job)) showProgress(place, job);
  const stale = found.some((place) => !isSame(place, job)) && before?.state !== job.state;
  if (stale || (found.length === 0 && before?.state !== job.state && isShownHere(job))) refresh(LATER_MS);
  if (isShownHere(job) && before?.state !== job.state) tell(job);
}

function takeRollout(rollout, refresh) {
  const found = document.querySelectorAll(`[data-rollout="${CSS.escape(String(rollout.id))}"]`);
  for (const place of found) if (place.matches(".progress")) showProgress(place, rollout.progress);
  if (found.length || ["firmware", "rollouts"].includes(document.body.dataset.page)) refresh(LATER_MS);
}

function shownJobs() {
  return [...document.querySelectorAll("[data-job]")];
}

function showLatest() {
  for (const place of shownJobs()) {
    const job = latest.get(place.dataset.job);
    const bar = place.querySelector("progress");
    if (job && bar && isSame(place, job) && bar.value < job.received) showProgress(place, job);
  }
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.dataset.copied = "";
  announce(t("Copied"));
  setTimeout(() => delete button.dataset.copied, 1500);
}

// Times are typed on the clock of who types them, where the browser knows its zone.
function tidy() {
  for (const field of document.querySelectorAll("input[data-zone]")) field.value = field.defaultValue = zone;
  for (const name of document.querySelectorAll("[data-zone-name]")) name.textContent = zone;
  // Without a secure origin browsers give scripts no clipboard; the text can still be selected.
  for (const button of document.querySelectorAll("[data-choose-go]")) button.hidden = true;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  showLatest();
}

export function startUpdates(refresh) {
  onSocket((socket) => {
    socket.on("connect", () => {
      if (["firmware", "rollouts", "modules"].includes(document.body.dataset.page) && document.querySelector("[data-job], #updates, [data-rollout]")) refresh(0);
    });
    socket.on("firmware:job:updated", (job) => takeJob(job, refresh));
    socket.on("firmware:rollout:updated", (rollout) => takeRollout(rollout, refresh));
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const all = event.target.closest("[data-pick]");
    if (all) for (const box of all.form.querySelectorAll('input[name="id"]:not(:disabled)')) box.checked = all.dataset.pick === "all";
  });
  // A part that somebody is at work in was left as it was; now it may show what has happened since.
  document.addEventListener("focusout", () => {
    if (shownJobs().some((place) => latest.has(place.dataset.job) && !isSame(place, latest.get(place.dataset.job)))) refresh(LATER_MS);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-choose] select")) event.target.form.requestSubmit();
  });
  onSwap(tidy);
  tidy();
}
