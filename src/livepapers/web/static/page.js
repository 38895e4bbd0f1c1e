// Everything works without this file; with it, votes need no new page.
"use strict";

for (const form of document.querySelectorAll("form[data-vote]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
      });
      if (!answer.ok) throw new Error(answer.statusText);
      const { votes, voted } = await answer.json();
      form.querySelector("[data-votes]").textContent = votes;
      form.elements.up.value = voted ? "false" : "true";
      button.setAttribute("aria-pressed", String(voted));
      button.title = voted ? "Take your vote back" : "Vote";
    } catch {
      form.submit(); // the server says what is wrong
    } finally {
      button.disabled = false;
    }
  });
}
