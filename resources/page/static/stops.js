// Stops, which answer where they were asked, with an undo.

import { about, BASE } from "./live.js";

const ANSWERS = 3; // the most answers that are shown at once

export function answerStops() {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-stop]")) return;
    event.preventDefault();
    stop(event.target);
  });
}

async function stop(form) {
  const button = form.querySelector("button");
  const label = [...button.childNodes];
  const fields = new FormData(form);
  const target = fields.get("target");
  const isRoom = target === "room"; // its button stays: the room can be resumed from elsewhere
  button.disabled = true;
  button.replaceChildren("stopping");
  const box = addAnswer(target);
  const found = await send("pause", fields);
  button.disabled = found.isDone && !isRoom;
  button.replaceChildren(...(found.isDone && !isRoom ? ["stopped"] : label));
  if (!found.isDone) return say(box, target, found.words);
  say(box, target, found.words, found.receipt);
  const undo = plainButton("Undo (u)", `the stop of ${target}`, "undo", async () => {
    undo.disabled = true;
    const undone = await send("resume", { target, reason: "Undone on the page" });
    say(box, target, undone.words, undone.receipt);
    box.focus();
    if (undone.isDone) {
      button.disabled = false;
      button.replaceChildren(...label);
    }
  });
  box.append(undo);
}

async function send(act, fields) {
  const asked = { method: "POST", body: new URLSearchParams(fields) };
  const answer = await fetch(`${BASE}/act/${act}?as=json`, asked).catch(() => null);
  const found = await answer?.json().catch(() => null);
  if (answer?.ok && found) return { ...found, isDone: true };
  const { code, why, fix } = found ?? { code: "storage", why: "The room did not answer.", fix: "Try again." };
  return { words: `Refused (${code}): ${why} ${fix}`, isDone: false };
}

function addAnswer(target) {
  const box = document.createElement("div");
  box.className = "answer";
  box.tabIndex = -1; // the focus goes here, so a screen reader reads it
  const answers = document.getElementById("answers");
  answers.append(box);
  while (answers.children.length > ANSWERS) answers.firstElementChild.remove();
  say(box, target, "stopping");
  box.focus({ preventScroll: true });
  return box;
}

function say(box, target, words, receipt) {
  const line = document.createElement("p");
  line.textContent = words.replace(` (receipt ${receipt})`, "");
  if (receipt) {
    const link = Object.assign(document.createElement("a"), { textContent: `receipt ${receipt}` });
    link.href = `${BASE}/log?after=${receipt - 1}`;
    line.append(" ", link);
  }
  box.replaceChildren(line, plainButton("Close", `what was said of ${target}`, "plain", () => box.remove()));
}

function plainButton(words, what, className, act) {
  const button = Object.assign(document.createElement("button"), { type: "button", className });
  button.append(words, ...about(what));
  button.addEventListener("click", act);
  return button;
}
