// The page's script. Everything works without it, except for live updates, keys, the ages of times and copying.
"use strict";

const BASE = document.body.dataset.base;
const AGES_MILLISECONDS = 10_000;
const GO_MILLISECONDS = 1_500; // how long "g" waits for the key that says where
const HAND_MILLISECONDS = 1_200; // how long a pointer that moved over a part keeps it as it is
const GAP_MILLISECONDS = 500; // the least time between two requests for one part
const ASK_AGAIN_MILLISECONDS = 15_000; // after which a page that was refused its changes asks again
const ANSWERS = 3; // the most answers that are shown at once
// The server has escaped what it sends; no other text becomes HTML.
const policy = window.trustedTypes?.createPolicy("teamroom", { createHTML: (html) => html });
const PLACES = {
  h: "/", b: "/board", m: "/members", d: "/decisions", o: "/overnight", l: "/log", a: "/acts", e: "/enrol", s: "/settings",
};

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
  const selection = document.getSelection();
  const isSelected = (time) => selection && !selection.isCollapsed && selection.containsNode(time, true);
  for (const time of root.querySelectorAll("time[datetime]")) {
    const when = new Date(time.dateTime);
    const words = age(when);
    if (time.textContent !== words && !isSelected(time)) time.textContent = words;
    time.title = exact.format(when);
  }
}

// ------------------------------------------------------------------ live parts

const waiting = new Map(); // the newest HTML of each part that must not change under a hand, a focus or a selection
const asked = new Map(); // for each part, how often its HTML was asked for, so that a late answer is dropped
let hand = { part: null, until: 0, isPressed: false };
let retry = 0;

function partOf(node) {
  return node instanceof Element ? node.closest("[data-part]") : null;
}

function isBusy(part) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && selection.containsNode(part, true)) return true;
  if (part.contains(document.activeElement)) return true;
  return hand.part === part && (hand.isPressed || performance.now() < hand.until);
}

function isTyped(field) {
  if (field instanceof HTMLSelectElement) return [...field.options].some((one) => one.selected !== one.defaultSelected);
  if (field instanceof HTMLInputElement && field.type === "checkbox") return field.checked !== field.defaultChecked;
  return (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) && field.value !== field.defaultValue;
}

function holdsTyped(node) {
  return node instanceof Element && [...node.querySelectorAll("textarea, input")].some(isTyped);
}

function detailsIn(root, isOpen) {
  const keyOf = (one) => `${one.closest("[id]")?.id} ${one.querySelector("summary")?.textContent}`;
  return new Map([...root.querySelectorAll(isOpen ? "details[open]" : "details")].map((one) => [keyOf(one), one]));
}

const callbacks = {
  beforeNodeMorphed: (old) => !isTyped(old),
  beforeNodeRemoved: (old) => !holdsTyped(old),
  afterNodeAdded: (node) => node instanceof Element && node.matches(".row") && node.classList.add("fresh"),
};

function morph(part, html) {
  const page = new DOMParser().parseFromString(policy?.createHTML(html) ?? html, "text/html");
  const fresh = part.id === "main" ? page.getElementById("main") : page.body;
  showTimes(fresh);
  const opened = detailsIn(part, true);
  for (const [key, one] of detailsIn(fresh, false)) if (opened.has(key)) one.open = true;
  Idiomorph.morph(part, [...fresh.childNodes], { morphStyle: "innerHTML", ignoreActiveValue: true, restoreFocus: true, callbacks });
  if (selected) mark(document.getElementById(selected));
}

function place(part, html) {
  waiting.delete(part);
  if (isBusy(part)) {
    waiting.set(part, html);
    if (!part.querySelector(":scope > .held")) part.prepend(heldButton(part));
    clearTimeout(retry);
    retry = setTimeout(placeWaiting, HAND_MILLISECONDS);
  } else morph(part, html);
}

function heldButton(part) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "held";
  button.textContent = "Show what is new (n)";
  button.addEventListener("click", () => showHeld(part));
  return button;
}

function showHeld(part) {
  const html = waiting.get(part);
  waiting.delete(part);
  if (html !== undefined) morph(part, html);
}

function placeWaiting() {
  for (const [part, html] of waiting) if (!isBusy(part)) place(part, html);
  clearTimeout(retry);
  if (waiting.size) retry = setTimeout(placeWaiting, HAND_MILLISECONDS);
}

function addressOf(part) {
  return part.id === "main" ? location.pathname + location.search : `${BASE}/part/${part.dataset.part}${location.search}`;
}

async function fetchPart(part) {
  const number = (asked.get(part) ?? 0) + 1;
  asked.set(part, number);
  const answer = await fetch(addressOf(part)).catch(() => null);
  if (answer?.ok) {
    const html = await answer.text();
    if (asked.get(part) === number) place(part, html);
  }
}

const due = new Map(); // the parts that wait to be asked for

function fetchSoon(part) {
  if (due.has(part)) return;
  const since = performance.now() - (part.askedAt ?? -GAP_MILLISECONDS);
  due.set(part, setTimeout(() => {
    due.delete(part);
    part.askedAt = performance.now();
    fetchPart(part);
  }, Math.max(0, GAP_MILLISECONDS - since)));
}

function showLost(words) {
  const lost = document.getElementById("lost");
  if (lost.textContent !== words) lost.textContent = words;
  lost.hidden = !words;
}

function follow() {
  const parts = [...document.querySelectorAll("[data-part]")];
  const filtered = new Set((document.body.dataset.filtered ?? "").split(" "));
  const isHome = document.body.dataset.live === "home";
  let stream = null;
  let again = 0;

  const named = (name) => parts.filter((part) => part.dataset.part.split(" ").includes(name));

  function open() {
    clearTimeout(again);
    stream?.close();
    stream = new EventSource(`${BASE}/changes${isHome ? "" : "?names=1"}`);
    stream.onopen = () => {
      showLost("");
      parts.forEach(fetchSoon); // what changed since the page was made, or while nobody listened
    };
    stream.onmessage = (event) => {
      const { own, shared } = JSON.parse(event.data);
      for (const name of own) named(name).forEach(fetchSoon);
      for (const [name, html] of Object.entries(shared)) {
        for (const part of named(name)) {
          asked.set(part, (asked.get(part) ?? 0) + 1); // this is newer than what was asked for before
          filtered.has(name) ? fetchSoon(part) : place(part, html);
        }
      }
    };
    stream.onerror = explain;
  }

  async function explain() {
    const broken = stream;
    const answer = await fetch(`${BASE}/part/needs?as=json`).catch(() => null);
    if (broken !== stream || document.hidden) return;
    if (answer && !answer.ok) {
      const { why, fix } = await answer.json().catch(() => ({ why: "The room refused.", fix: "" }));
      showLost(`This page no longer shows what changes. ${why} ${fix}`);
      stream.close();
    } else if (!answer) showLost("The room does not answer. This page shows what it heard last, and keeps asking.");
    if (stream.readyState === EventSource.CLOSED) again = setTimeout(open, ASK_AGAIN_MILLISECONDS);
  }

  // A browser has six connections to one host: pages that nobody looks at give theirs back.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(again);
    if (document.hidden) stream?.close();
    else open();
  });
  document.addEventListener("focusout", () => setTimeout(placeWaiting));
  document.addEventListener("selectionchange", () => document.getSelection().isCollapsed && placeWaiting());
  document.addEventListener("pointermove", (event) => {
    hand = { ...hand, part: partOf(event.target), until: performance.now() + HAND_MILLISECONDS };
  });
  document.addEventListener("pointerdown", (event) => (hand = { part: partOf(event.target), until: 0, isPressed: true }));
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => {
      hand = { ...hand, until: performance.now() + HAND_MILLISECONDS, isPressed: false };
    });
  }
  if (!document.hidden) open();
}

// ------------------------------------------------------------------ stops, which answer where they were asked

async function send(act, fields) {
  const asked = { method: "POST", body: new URLSearchParams(fields) };
  const answer = await fetch(`${BASE}/act/${act}?as=json`, asked).catch(() => null);
  const found = await answer?.json().catch(() => null);
  if (answer?.ok && found) return { ...found, isDone: true };
  const { code, why, fix } = found ?? { code: "storage", why: "The room did not answer.", fix: "Try again." };
  return { words: `Refused (${code}): ${why} ${fix}`, isDone: false };
}

async function stop(form) {
  const button = form.querySelector("button");
  const label = [...button.childNodes];
  const fields = new FormData(form);
  const reach = form.dataset.stop; // the form may be another one when the answer comes
  button.disabled = true;
  button.replaceChildren("stopping");
  const box = addAnswer("stopping");
  const found = await send("pause", fields);
  const isRoom = fields.get("target") === "room"; // its button stays: the room can be resumed from elsewhere
  button.disabled = found.isDone && !isRoom;
  button.replaceChildren(...(found.isDone && !isRoom ? ["stopped"] : label));
  if (!found.isDone) return say(box, found.words);
  say(box, `${found.words} ${reach}`, found.receipt);
  const back = document.createElement("button");
  back.type = "button";
  back.className = "undo";
  back.textContent = "Undo (u)";
  back.addEventListener("click", async () => {
    back.disabled = true;
    const undone = await send("resume", { target: fields.get("target"), reason: "Undone on the page" });
    say(box, undone.words, undone.receipt);
    box.focus();
    if (undone.isDone) {
      button.disabled = false;
      button.replaceChildren(...label);
    }
  });
  box.append(back);
}

function addAnswer(words) {
  const box = document.createElement("div");
  box.className = "answer";
  box.tabIndex = -1; // the focus goes here, so a screen reader reads it
  const answers = document.getElementById("answers");
  answers.append(box);
  while (answers.children.length > ANSWERS) answers.firstElementChild.remove();
  say(box, words);
  box.focus({ preventScroll: true });
  return box;
}

function say(box, words, receipt) {
  const line = document.createElement("p");
  line.textContent = words.replace(` (receipt ${receipt})`, "");
  if (receipt) {
    const link = document.createElement("a");
    link.href = `${BASE}/log?after=${receipt - 1}`;
    link.textContent = `receipt ${receipt}`;
    line.append(" ", link);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain";
  close.textContent = "Close";
  close.addEventListener("click", () => box.remove());
  box.replaceChildren(line, close);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("form[data-stop]")) {
    event.preventDefault();
    stop(form);
  }
});

// ------------------------------------------------------------------ keys

let selected = null; // the id of the selected row
let goes = 0; // until when "g" waits

function rows() {
  return [...document.querySelectorAll("main .row[id]")].filter((row) => row.checkVisibility());
}

function mark(row) {
  for (const other of document.querySelectorAll(".row[aria-current]")) other.removeAttribute("aria-current");
  row?.setAttribute("aria-current", "true");
}

function step(by) {
  const all = rows();
  const at = all.findIndex((row) => row.id === selected);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  if (!next) return;
  selected = next.id;
  mark(next);
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a[href]")?.focus({ preventScroll: true });
}

function isTyping(target) {
  return target.matches("input, textarea, select") || target.isContentEditable;
}

function openForm(details) {
  if (!details) return;
  details.open = true;
  details.querySelector("input:not([type=hidden]), textarea, select, button")?.focus();
}

function answerRow(row) {
  const details = row.querySelector("details");
  if (details) openForm(details);
  else row.querySelector("form button")?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) return document.activeElement?.blur();
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (performance.now() < goes && event.key in PLACES) {
    goes = 0;
    event.preventDefault();
    location.assign(BASE + PLACES[event.key]);
    return;
  }
  const here = (selected && document.getElementById(selected)) || document.getElementById("main");
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    g: () => (goes = performance.now() + GO_MILLISECONDS),
    p: () => here.querySelector("form[data-stop]")?.requestSubmit(),
    P: () => document.querySelector(".bar form[data-stop]")?.requestSubmit(),
    u: () => [...document.querySelectorAll(".undo:enabled")].at(-1)?.click(),
    r: () => answerRow(here),
    a: () => openForm(document.querySelector("details[data-key=a]")),
    m: () => openForm(document.querySelector("details[data-key=m]")),
    n: () => [...waiting.keys()].forEach(showHeld),
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => document.getElementById("help")?.showModal(),
  };
  const choice = /^[1-9]$/.test(event.key) && here.querySelectorAll(".choices button")[Number(event.key) - 1];
  if (choice) choice.focus();
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
  if ("asks" in form.dataset) return; // somebody is signed in here, and a link may be another person's
  form.requestSubmit();
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
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
if (document.body.dataset.live) follow();
signIn();
