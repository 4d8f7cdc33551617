// The page's script. Everything works without it, except for live updates, keys, the ages of times and copying.

import { listenForKeys, markSelected, showSwitch } from "./keys.js";
import { live } from "./live.js";
import { answerStops } from "./stops.js";

live(showSwitch, markSelected);
answerStops();
listenForKeys();
offerCopies();
offerHelp();
signIn();

function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
}

function offerHelp() {
  const button = document.getElementById("help-button");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => document.getElementById("help").showModal());
}

function signIn() {
  const form = document.getElementById("sign-in");
  const code = location.hash.slice(1);
  if (!form || !code) return;
  history.replaceState(null, "", location.pathname + location.search); // a link counts once, and need not be kept
  form.elements.code.value = code;
  if ("asks" in form.dataset) return; // somebody is signed in here, and a link may be another person's
  form.requestSubmit();
}
