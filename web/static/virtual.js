// A list of thousands in which only the rows in sight exist. The server makes its parts (`/modules/rows`),
// the stream keeps what is loaded true, and the page's own scroll bar moves it.

import { setTime } from "./ages.js";
import { reason, shown, statusWord, within } from "./words.js";

const FIELDS = ["id", "title", "subtitle", "status", "reason", "since", "last_seen", "unstable", "type_name", "group", "owner", "readings"];
const BEYOND = 8;
const KEPT_CHUNKS = 40;
const PAUSE_MS = 60;

const part = (row, name) => row.querySelector(`[data-part="${name}"]`);
const place = (row, name) => row.querySelector(`[data-field="${name}"]`);

function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function readingOf([key, label, text, unit]) {
  const reading = document.createElement("span");
  reading.className = "reading";
  const word = document.createElement("span");
  word.className = "key";
  word.textContent = label;
  const value = document.createElement("span");
  value.className = "num";
  value.dataset.key = key;
  value.textContent = text;
  reading.append(word, " ", value, unit ? ` ${unit}` : "");
  return reading;
}

export class VirtualList {
  // `url(start, count)` is where a part of the list comes from; `found(total, of)` is told how many there are.
  constructor(table, template, { url, found, dress }) {
    this.table = table;
    this.body = table.tBodies[0];
    this.template = template;
    this.url = url;
    this.found = found;
    this.dress = dress;
    this.total = Number(table.dataset.found);
    this.size = Number(table.dataset.chunk);
    this.chunks = new Map();
    this.byId = new Map();
    this.rows = new Map();
    this.asked = new Map();
    this.wanted = null;
    this.generation = 0;
    this.height = 0;
    this.above = this.spacer();
    this.below = this.spacer();
    this.frame = 0;
    this.ready = false;
    this.onScroll = () => this.soon();
    addEventListener("scroll", this.onScroll, { passive: true });
    addEventListener("resize", this.onScroll, { passive: true });
  }

  spacer() {
    const row = document.createElement("tr");
    row.className = "spacer";
    row.setAttribute("aria-hidden", "true");
    row.append(document.createElement("td"));
    // Over the columns that are shown: one more would take room that nothing fills.
    const shown = [...this.table.tHead.rows[0].cells].filter((cell) => getComputedStyle(cell).display !== "none");
    row.firstChild.colSpan = Math.max(1, shown.length);
    return row;
  }

  stop() {
    removeEventListener("scroll", this.onScroll);
    removeEventListener("resize", this.onScroll);
    cancelAnimationFrame(this.frame);
    this.generation += 1;
  }

  // The rows the server made give way to ours as soon as we have those in sight.
  async start(index) {
    const first = this.body.querySelector("tr");
    this.height = first ? first.getBoundingClientRect().height : 60;
    const from = Math.floor(index / this.size);
    const parts = index % this.size > this.size / 2 ? [from, from + 1] : [Math.max(0, from - 1), from];
    await Promise.all([...new Set(parts)].map((chunk) => this.fetch(chunk)));
    if (!this.chunks.size) return;
    this.adopt();
  }

  adopt() {
    this.ready = true;
    this.rows.clear();
    this.body.replaceChildren(this.above, this.below);
    this.measure();
    this.draw();
  }

  // Rows are as high as the style says, which another width may change.
  measure() {
    const probe = this.make(0, null);
    this.body.insertBefore(probe, this.below);
    this.height = probe.getBoundingClientRect().height || this.height;
    probe.remove();
  }

  soon() {
    if (!this.ready || this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  top() {
    return this.body.getBoundingClientRect().top + scrollY;
  }

  range() {
    const past = scrollY - this.top();
    const first = Math.max(0, Math.floor(past / this.height) - BEYOND);
    const last = Math.min(this.total, Math.ceil((past + innerHeight) / this.height) + BEYOND);
    return [Math.min(first, Math.max(0, this.total - 1)), Math.max(last, 0)];
  }

  draw() {
    const [first, last] = this.range();
    for (const [index, row] of this.rows) {
      if (index >= first && index < last) continue;
      row.remove();
      this.rows.delete(index);
    }
    let next = this.above.nextSibling;
    for (let index = first; index < last; index += 1) {
      let row = this.rows.get(index);
      if (!row) {
        row = this.make(index, this.at(index));
        this.rows.set(index, row);
      }
      if (row === next) next = next.nextSibling;
      else this.body.insertBefore(row, next);
    }
    this.above.style.height = `${first * this.height}px`;
    this.below.style.height = `${Math.max(0, this.total - last) * this.height}px`;
    for (let chunk = Math.floor(first / this.size); chunk * this.size < last; chunk += 1) this.need(chunk);
  }

  at(index) {
    return this.chunks.get(Math.floor(index / this.size))?.[index % this.size] ?? null;
  }

  // One that is scrolled past in a moment is not asked for.
  need(chunk) {
    if (this.chunks.has(chunk) || this.asked.has(chunk)) return;
    const { generation } = this;
    this.asked.set(chunk, setTimeout(async () => {
      const [first, last] = this.range();
      const inSight = chunk * this.size < last && (chunk + 1) * this.size > first;
      if (inSight && generation === this.generation) await this.fetch(chunk);
      this.asked.delete(chunk);
      if (this.ready && generation === this.generation) this.fill();
    }, PAUSE_MS));
  }

  async fetch(chunk) {
    const { generation } = this;
    const response = await fetch(this.url(chunk * this.size, this.size), { headers: { Accept: "application/json" } }).catch(() => null);
    if (!response?.ok || generation !== this.generation) return false;
    const { total, of, rows } = await response.json();
    if (generation !== this.generation) return false;
    this.keep(chunk, rows.map((row) => Object.fromEntries(FIELDS.map((name, place) => [name, row[place]]))));
    this.count(total, of);
    return true;
  }

  keep(chunk, rows) {
    this.chunks.delete(chunk);
    this.chunks.set(chunk, rows);
    for (const row of rows) this.byId.set(row.id, row);
    // Those that were loaded first go first; they come again when they are scrolled to.
    for (const old of this.chunks.keys()) {
      if (this.chunks.size <= KEPT_CHUNKS) break;
      for (const row of this.chunks.get(old)) this.byId.delete(row.id);
      this.chunks.delete(old);
    }
  }

  count(total, of) {
    this.total = total;
    this.table.setAttribute("aria-rowcount", total + 1);
    this.found(total, of);
  }

  // Places that were empty until their part came.
  fill() {
    for (const [index, row] of this.rows) {
      const data = this.at(index);
      if (data && row.dataset.module !== data.id) this.show(row, data);
    }
    this.draw();
    if (this.wanted) this.focus(this.wanted.index, this.wanted.kind);
  }

  make(index, data) {
    const row = this.template.content.querySelector("tr").cloneNode(true);
    row.setAttribute("aria-rowindex", index + 2);
    row.dataset.index = index;
    if (data) this.show(row, data);
    else {
      row.classList.add("empty-row");
      delete row.dataset.module;
      row.querySelector("a").removeAttribute("href");
    }
    return row;
  }

  show(row, data) {
    row.classList.remove("empty-row");
    row.dataset.module = data.id;
    row.dataset.row = data.id;
    const link = place(row, "title");
    link.href = `/modules/${encodeURIComponent(data.id)}`;
    say(link, data.title);
    const pill = place(row, "status");
    pill.dataset.status = data.status;
    pill.querySelector("use").setAttribute("href", `/static/icons.svg#${data.status}`);
    say(pill.querySelector("[data-word]"), statusWord(data.status));
    place(row, "unstable").hidden = !data.unstable;
    say(place(row, "reason"), data.reason);
    setTime(place(row, "since"), data.since);
    setTime(place(row, "last_seen"), data.last_seen);
    for (const name of ["subtitle", "type_name", "group", "owner"]) say(part(row, name), data[name]);
    part(row, "readings").replaceChildren(...data.readings.map(readingOf));
    this.dress(row, data);
  }

  // What the stream says of a module, for when its row is made again; rows in sight change by themselves.
  change(id, change) {
    const data = this.byId.get(id);
    if (!data || change === null) return;
    if ("name" in change) data.title = change.name || id;
    if ("reason" in change) data.reason = reason(change.reason);
    for (const name of ["status", "since", "last_seen", "unstable", "group"]) if (name in change) data[name] = change[name];
    if (!change.telemetry) return;
    for (const reading of data.readings) {
      const value = within(change.telemetry, reading[0]);
      if (value !== undefined) reading[2] = shown(value);
    }
  }

  // Everything anew: another search, or somebody came or went. What is in sight stays until the new is there.
  async reload(toTop = false) {
    this.generation += 1;
    for (const timer of this.asked.values()) clearTimeout(timer);
    this.asked.clear();
    if (toTop && this.top() < scrollY) scrollTo({ top: Math.max(0, this.top() - 160) });
    const { generation, chunks, byId } = this;
    const [first, last] = this.ready ? this.range() : [0, 1];
    this.chunks = new Map();
    this.byId = new Map();
    const from = toTop ? 0 : Math.floor(first / this.size);
    const until = toTop ? 0 : Math.max(from, Math.floor((last - 1) / this.size));
    let came = false;
    for (let chunk = from; chunk <= until; chunk += 1) came = (await this.fetch(chunk)) || came;
    if (generation !== this.generation) return false;
    if (!came) {
      [this.chunks, this.byId] = [chunks, byId];
      return false;
    }
    if (!this.ready) this.adopt();
    for (const [index, row] of this.rows) {
      const data = this.at(index);
      if (data) this.show(row, data);
    }
    this.fill();
    return true;
  }

  // By keyboard: the control of this kind (a link or a box) in the row at `index`, wherever it is.
  focus(index, kind) {
    const wanted = Math.min(Math.max(0, index), this.total - 1);
    this.wanted = null;
    const offset = this.top() + wanted * this.height;
    const head = document.querySelector("header.top")?.getBoundingClientRect().height ?? 0;
    const foot = document.querySelector(".bulk")?.getBoundingClientRect().height ?? 0;
    if (offset < scrollY + head) scrollTo({ top: offset - head - this.height });
    else if (offset + this.height > scrollY + innerHeight - foot) scrollTo({ top: offset + 2 * this.height - innerHeight + foot });
    this.draw();
    const control = this.rows.get(wanted)?.querySelector(kind);
    if (control?.matches("a:not([href])")) this.wanted = { index: wanted, kind };
    else control?.focus({ preventScroll: true });
  }

  // How many rows a page down is.
  page() {
    return Math.max(1, Math.floor(innerHeight / this.height) - 2);
  }
}
