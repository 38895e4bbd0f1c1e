// Everything works without this file; with it, votes need no new page.
"use strict";

async function cast(form) {
  try {
    const answer = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
    });
    return await answer.json(); // votes and voted, or why not
  } catch {
    return { error: "the page did not answer; try again" };
  }
}

function tell(form, refusal) {
  const beside = form.nextElementSibling;
  beside.querySelector("[data-refusal]")?.remove();
  if (!refusal) return;
  const note = document.createElement("p");
  note.className = "note bad";
  note.dataset.refusal = "";
  note.setAttribute("role", "alert");
  note.textContent = `The vote was not taken: ${refusal}`;
  beside.prepend(note);
}

for (const form of document.querySelectorAll("form[data-vote]")) {
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true"; // `disabled` would take the focus away
    const { error, votes, voted } = await cast(form);
    button.ariaDisabled = "false";
    tell(form, error);
    if (error) return;
    form.querySelector("[data-votes]").textContent = votes;
    form.elements.up.value = voted ? "false" : "true";
    button.setAttribute("aria-pressed", String(voted));
    button.title = voted ? "Take your vote back" : "Vote";
  });
}
