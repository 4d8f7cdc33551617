// The page's script. Everything works without it, except for live updates, keys, the ages of times and copying.
"use strict";

const BASE = document.body.dataset.base;
const AGES_MILLISECONDS = 10_000;
const GO_MILLISECONDS = 1_500; // how long "g" waits for the key that says where
// The server has escaped what it sends; no other text becomes HTML.
const policy = window.trustedTypes?.createPolicy("teamroom", { createHTML: (html) => html });
const PLACES = { h: "/", b: "/board", m: "/members", d: "/decisions", o: "/overnight", l: "/log", s: "/settings" };

// ------------------------------------------------------------------ times

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function age(when) {
  const seconds = (when - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[3];
  return relative.format(Math.round(seconds / size), unit);
}

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const when = new Date(time.dateTime);
    const words = age(when);
    if (time.textContent !== words) time.textContent = words;
    time.title = exact.format(when);
  }
}

// ------------------------------------------------------------------ live parts

const waiting = new Map(); // the newest HTML of each part that must not change under a hand

function isBusy(part) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && part.contains(selection.anchorNode)) return true;
  const active = document.activeElement;
  if (part.contains(active) && active.matches("input, textarea, select, summary")) return true;
  return part.matches(":hover") && part.querySelector(":active") !== null;
}

function place(name, html) {
  const part = document.getElementById(`part-${name}`);
  if (!part) return;
  if (isBusy(part)) {
    waiting.set(name, html);
    return;
  }
  waiting.delete(name);
  const fresh = new DOMParser().parseFromString(policy?.createHTML(html) ?? html, "text/html");
  showTimes(fresh);
  const opened = new Set([...part.querySelectorAll("details[open]")].map((one) => one.closest("[id]")?.id));
  for (const one of fresh.querySelectorAll("details")) if (opened.has(one.closest("[id]")?.id)) one.open = true;
  const holder = document.createElement("section");
  holder.append(...fresh.body.childNodes);
  Idiomorph.morph(part, holder, { morphStyle: "innerHTML", ignoreActiveValue: true, restoreFocus: true });
  select(selected);
}

function placeWaiting() {
  for (const [name, html] of waiting) place(name, html);
}

async function fetchPart(name) {
  const answer = await fetch(`${BASE}/part/${name}${location.search}`, { credentials: "same-origin" });
  if (answer.ok) place(name, await answer.text());
}

function follow() {
  const filtered = new Set((document.body.dataset.filtered ?? "").split(" "));
  let stream = null;

  function open() {
    stream = new EventSource(`${BASE}/changes`);
    stream.onmessage = (event) => {
      const { own, shared } = JSON.parse(event.data);
      for (const name of own) fetchPart(name);
      for (const [name, html] of Object.entries(shared)) filtered.has(name) ? fetchPart(name) : place(name, html);
    };
    stream.onerror = () => document.body.classList.toggle("lost", stream.readyState === EventSource.CLOSED);
  }

  // A browser has six connections to one host: pages that nobody looks at give theirs back.
  document.addEventListener("visibilitychange", () => {
    stream?.close();
    if (!document.hidden) {
      for (const part of document.querySelectorAll("[data-part]")) fetchPart(part.dataset.part);
      open();
    }
  });
  if (!document.hidden) open();
}

// ------------------------------------------------------------------ acts that answer where they were asked

async function stop(form) {
  const button = form.querySelector("button");
  const says = form.parentElement.querySelector(".answer") ?? document.createElement("p");
  says.className = "answer";
  says.setAttribute("role", "status");
  button.disabled = true;
  button.textContent = "stopping";
  const answer = await fetch(`${form.action}?as=json`, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const found = await answer.json();
  if (answer.ok) {
    button.textContent = "stopped";
    says.textContent = `${found.words} It does not reach programs that ${form.dataset.stop} runs outside the room.`;
    if (form.querySelector("[name=target]").value !== "") form.after(undo(form, button, says));
  } else {
    button.disabled = false;
    button.textContent = "Stop";
    says.textContent = `Refused (${found.code}): ${found.why} ${found.fix}`;
  }
  form.parentElement.append(says);
}

function undo(form, stopButton, says) {
  const back = document.createElement("button");
  back.type = "button";
  back.textContent = "Undo";
  back.addEventListener("click", async () => {
    const fields = new FormData(form);
    fields.set("reason", "Undone on the page");
    const answer = await fetch(`${BASE}/act/resume?as=json`, { method: "POST", body: new URLSearchParams(fields) });
    const found = await answer.json();
    says.textContent = answer.ok ? found.words : `Refused (${found.code}): ${found.why} ${found.fix}`;
    if (answer.ok) {
      back.remove();
      stopButton.disabled = false;
      stopButton.textContent = "Stop";
    }
  });
  return back;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("form[data-stop][action$='/act/pause']")) {
    event.preventDefault();
    stop(form);
  }
});

// ------------------------------------------------------------------ keys

let selected = null; // the id of the selected row
let goes = 0; // until when "g" waits

function rows() {
  return [...document.querySelectorAll(".row[id]")].filter((row) => row.checkVisibility());
}

function select(id) {
  selected = id;
  for (const row of document.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current");
  const row = id && document.getElementById(id);
  row?.setAttribute("aria-current", "true");
  return row;
}

function step(by) {
  const all = rows();
  const at = all.findIndex((row) => row.id === selected);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  if (next) select(next.id).scrollIntoView({ block: "nearest" });
}

function isTyping(target) {
  return target.matches("input, textarea, select, [contenteditable]") || target.isContentEditable;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (Date.now() < goes && event.key in PLACES) {
    goes = 0;
    event.preventDefault();
    location.assign(BASE + PLACES[event.key]);
    return;
  }
  const row = selected && document.getElementById(selected);
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    g: () => (goes = Date.now() + GO_MILLISECONDS),
    p: () => row?.querySelector("form[data-stop]")?.requestSubmit(),
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => document.getElementById("help")?.showModal(),
  };
  if (event.key === "Enter" && row?.dataset.href && event.target === document.body) location.assign(row.dataset.href);
  else if (event.key in keys) keys[event.key]();
  else return;
  event.preventDefault();
});

// ------------------------------------------------------------------ start

function signIn() {
  const form = document.getElementById("sign-in");
  const code = location.hash.slice(1);
  if (!form || !code) return;
  history.replaceState(null, "", location.pathname + location.search); // a link counts once, and need not be kept
  form.elements.code.value = code;
  form.requestSubmit();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
const help = document.getElementById("help-button");
if (help) {
  help.hidden = false;
  help.addEventListener("click", () => document.getElementById("help").showModal());
}
showTimes(document);
setInterval(() => showTimes(document), AGES_MILLISECONDS);
document.addEventListener("focusout", () => setTimeout(placeWaiting));
document.addEventListener("selectionchange", () => document.getSelection().isCollapsed && placeWaiting());
if (document.body.dataset.live) follow();
signIn();
