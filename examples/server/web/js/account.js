// What a link from a mail leads to: its secret stands in the fragment, and is sent when the person says so.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const form = document.querySelector("form");
const status = document.querySelector("[role=status]");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  status.textContent = "";
  try {
    const response = await fetch(form.dataset.action, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) }),
    });
    const answer = await response.json();
    status.textContent = answer.message;
    if (answer.success) {
      form.hidden = true;
      // A secret that was used is not worth keeping in the history.
      history.replaceState(null, "", location.pathname);
    }
  } catch {
    status.textContent = "The server could not be reached. Try again shortly.";
  }
  button.disabled = false;
});
