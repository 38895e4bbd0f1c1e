// A run's page follows the run; without this file it loads itself again every few seconds.
"use strict";

const shown = document.querySelector("[data-run]");
const starting = document.querySelector("[data-starting]");
const text = (selector, value) => {
  const found = shown.querySelector(selector);
  if (found.textContent !== String(value)) found.textContent = value;
};

function update(told) {
  const before = [shown.querySelector("[data-status]").textContent, shown.dataset.phase];
  const rows = shown.querySelectorAll("[data-cell]");
  if (told.status !== before[0] || told.phase !== before[1] || (rows.length === 0 && told.total > 0)) {
    location.reload(); // other buttons, or verdicts
    return false;
  }
  shown.querySelector("[data-overall]").value = told.share;
  text("[data-finished]", told.finished);
  text("[data-total]", told.total);
  text("[data-left]", told.left && `, ${told.left}`);
  for (const [index, status, progress, time] of told.cells) {
    const row = rows[index];
    if (!row) continue;
    row.querySelector("[data-cell-status]").textContent = status;
    row.querySelector("progress").value = progress;
    row.querySelector("[data-cell-time]").textContent = time;
  }
  return told.phase !== "";
}

function connect() {
  const source = new EventSource(`/runs/${shown.dataset.run}/events`);
  source.addEventListener("message", (event) => {
    if (!update(JSON.parse(event.data))) source.close();
  });
  source.addEventListener("error", () => {
    // browsers connect again by themselves, but not after an answer such as 502 or 503
    if (source.readyState !== EventSource.CLOSED) return;
    text("[data-left]", "; no connection, trying again");
    setTimeout(connect, 5000);
  });
}

if (shown && shown.dataset.phase) connect();

async function look() {
  try {
    const answer = await fetch(location.href);
    if (answer.status >= 500) setTimeout(look, 3000); // of a server in front, while ours starts again
    else if (answer.redirected) location.replace(answer.url);
    else if (!(await answer.text()).includes("data-starting")) location.reload();
    else setTimeout(look, 1000);
  } catch {
    setTimeout(look, 3000); // the page's server may be starting again
  }
}

if (starting) setTimeout(look, 1000);
