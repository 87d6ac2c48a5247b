// What scripts say, in the page's language. The English text is the key; a page in another language brings its own.

const place = document.getElementById("texts");
const { messages, forms } = place ? JSON.parse(place.textContent) : { messages: {}, forms: "" };

function filled(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}

function found(key) {
  return Object.hasOwn(messages, key) ? messages[key] : null;
}

// `t("Waiting for %(name)s", {name})`
export function t(text, values = {}) {
  return filled(found(text) ?? text, values);
}

// Which of a language's forms goes with a count: a table for 0 to 199, which repeats from there.
function form(count) {
  return Number(forms[count < 200 ? count : 100 + (count % 100)] ?? 0);
}

// `plural("%(num)s device", "%(num)s devices", 3)`
export function plural(one, many, count, values = {}) {
  const own = found(one)?.[form(count)];
  return filled(own ?? (count === 1 ? one : many), { num: count, ...values });
}

// Marks a text of a table, which is said with `t` when it is shown.
export function later(text) {
  return text;
}

export const language = document.documentElement.lang || "en";
