// Lists: choosing all, and selects that need no button.

const PULSE_MS = 10_000;

// The small plots of the last hour get a point every ten seconds.
export function startPulse(refresh) {
  setInterval(() => {
    if (!document.hidden && document.querySelector("[data-pulse]")) refresh(0);
  }, PULSE_MS);
}

export function tidyLists() {
  const all = document.querySelector("[data-pick-all]");
  if (all) all.hidden = false;
  const decide = document.querySelector("[data-decide]");
  if (decide) decide.hidden = !document.querySelector('#decide input[name="id"]');
}

export function startLists() {
  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-all") {
      for (const box of document.querySelectorAll('#decide input[name="id"]')) box.checked = event.target.checked;
    }
  });
}
