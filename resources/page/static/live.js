// What changes while the page is open: the ages of times, and the parts that others changed. Nothing moves under a hand,
// a focus or a selection, and no form that somebody fills in is replaced.

import { follow } from "./changes.js";

export const BASE = document.body.dataset.base;
const AGES_MILLISECONDS = 10_000;
const HAND_MILLISECONDS = 1_200; // how long a pointer that moved over a part keeps it as it is
const GAP_MILLISECONDS = 500; // the least time between two requests for one part
// The server has escaped what it sends; no other text becomes HTML.
const policy = window.trustedTypes?.createPolicy("teamroom", { createHTML: (html) => html });

let prepare = () => {}; // what a script does to each HTML that comes, before it is shown
let shown = () => {}; // and after that

// Keep the page as it is now. `before` and `after` are called with what comes, and once it is shown.
export function live(before, after) {
  prepare = (root) => [showTimes, before].forEach((one) => one(root));
  shown = after;
  prepare(document);
  setInterval(() => showTimes(document), AGES_MILLISECONDS);
  if (document.body.dataset.live) followRoom();
}

// ------------------------------------------------------------------ what the room says

function followRoom() {
  const parts = [...document.querySelectorAll("[data-part]")];
  const filtered = new Set((document.body.dataset.filtered ?? "").split(" "));
  const named = (name) => parts.filter((part) => part.dataset.part.split(" ").includes(name));

  follow(`${BASE}/changes${document.body.dataset.live === "home" ? "" : "?names=1"}`, explain, {
    opened() {
      showLost("");
      parts.forEach(fetchSoon); // what changed since the page was made, or while nobody listened
    },
    changed(data) {
      const { own, shared } = JSON.parse(data);
      for (const name of own) named(name).forEach(fetchSoon);
      for (const [name, html] of Object.entries(shared)) {
        for (const part of named(name)) {
          asked.set(part, (asked.get(part) ?? 0) + 1); // this is newer than what was asked for before
          filtered.has(name) ? fetchSoon(part) : place(part, html);
        }
      }
    },
    lost: showLost,
  });
  watchHands();
}

async function explain() {
  const answer = await fetch(`${BASE}/part/needs?as=json`).catch(() => null);
  if (!answer) return { words: "The room does not answer. This page shows what it heard last, and keeps asking." };
  if (answer.ok) return {};
  const { why, fix } = await answer.json().catch(() => ({ why: "The room refused.", fix: "" }));
  return { words: `This page no longer shows what changes. ${why} ${fix}`, isFinal: true };
}

function showLost(words) {
  const lost = document.getElementById("lost");
  if (lost.textContent !== words) lost.textContent = words;
  lost.hidden = !words;
}

// ------------------------------------------------------------------ asking for a part

const asked = new Map(); // for each part, how often its HTML was asked for, so that a late answer is dropped
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

async function fetchPart(part) {
  const number = (asked.get(part) ?? 0) + 1;
  asked.set(part, number);
  const answer = await fetch(addressOf(part)).catch(() => null);
  if (answer?.ok) {
    const html = await answer.text();
    if (asked.get(part) === number) place(part, html);
  }
}

function addressOf(part) {
  if (part.id !== "main") return `${BASE}/part/${part.dataset.part}${location.search}`;
  const again = part.querySelector("[data-again]")?.dataset.again;
  return `${location.pathname}?${[location.search.slice(1), again, "as=main"].filter(Boolean).join("&")}`;
}

// ------------------------------------------------------------------ showing it, but never under a hand

const waiting = new Map(); // the newest HTML of each part that must not change now
let hand = { part: null, until: 0, isPressed: false };
let retry = 0;

export const showAllHeld = () => [...waiting.keys()].forEach(showHeld);

function place(part, html) {
  waiting.delete(part);
  if (isBusy(part)) {
    waiting.set(part, html);
    if (!part.querySelector(":scope > .held")) part.prepend(heldButton(part));
    clearTimeout(retry);
    retry = setTimeout(placeWaiting, HAND_MILLISECONDS);
  } else morph(part, html);
}

function placeWaiting() {
  for (const [part, html] of waiting) if (!isBusy(part)) place(part, html);
  clearTimeout(retry);
  if (waiting.size) retry = setTimeout(placeWaiting, HAND_MILLISECONDS);
}

function isBusy(part) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && selection.containsNode(part, true)) return true;
  if (part.contains(document.activeElement)) return true;
  return hand.part === part && (hand.isPressed || performance.now() < hand.until);
}

function heldButton(part) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "held" });
  button.append("Show what is new (n)", ...about(part.querySelector("h1, h2").firstChild.textContent));
  button.addEventListener("click", () => showHeld(part));
  return button;
}

// Words that only those get who hear the page.
export function about(words) {
  const hidden = Object.assign(document.createElement("span"), { className: "hidden", textContent: words });
  return [" ", hidden];
}

function showHeld(part) {
  const html = waiting.get(part);
  waiting.delete(part);
  if (html !== undefined) morph(part, html);
}

function watchHands() {
  document.addEventListener("focusout", () => setTimeout(placeWaiting));
  document.addEventListener("selectionchange", () => document.getSelection().isCollapsed && placeWaiting());
  const move = (event, change) => {
    const part = event.target instanceof Element ? event.target.closest("[data-part]") : null;
    hand = { ...hand, part, until: performance.now() + HAND_MILLISECONDS, ...change };
  };
  document.addEventListener("pointermove", (event) => move(event, {}));
  document.addEventListener("pointerdown", (event) => move(event, { isPressed: true }));
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, (event) => move(event, { isPressed: false }));
  }
}

// ------------------------------------------------------------------ changing a part

function morph(part, html) {
  const fresh = new DOMParser().parseFromString(policy?.createHTML(html) ?? html, "text/html").body;
  prepare(fresh);
  const opened = detailsIn(part, true);
  for (const [key, one] of detailsIn(fresh, false)) if (opened.has(key)) one.open = true;
  Idiomorph.morph(part, [...fresh.childNodes], { morphStyle: "innerHTML", ignoreActiveValue: true, restoreFocus: true, callbacks });
  shown();
}

const callbacks = {
  beforeNodeMorphed: (old) => !isTyped(old) && !(old instanceof HTMLFormElement && holdsTyped(old)),
  beforeNodeRemoved: (old) => !holdsTyped(old),
  afterNodeAdded: (node) => node instanceof Element && node.matches(".row") && node.classList.add("fresh"),
};

function holdsTyped(node) {
  return node instanceof Element && [...node.querySelectorAll("textarea, input, select")].some(isTyped);
}

function isTyped(field) {
  if (field instanceof HTMLSelectElement) return isChosen(field);
  if (field instanceof HTMLInputElement && field.type === "checkbox") return field.checked !== field.defaultChecked;
  return (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) && field.value !== field.defaultValue;
}

function isChosen(select) {
  const marked = [...select.options].findIndex((one) => one.defaultSelected);
  return select.selectedIndex !== Math.max(marked, 0);
}

function detailsIn(root, isOpen) {
  const keyOf = (one) => {
    const holder = one.closest("[id]");
    return `${holder !== root && root.contains(holder) && holder.id} ${one.querySelector("summary")?.textContent}`;
  };
  return new Map([...root.querySelectorAll(isOpen ? "details[open]" : "details")].map((one) => [keyOf(one), one]));
}

// ------------------------------------------------------------------ times

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

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

function age(when) {
  const seconds = (when - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[3];
  return relative.format(Math.round(seconds / size), unit);
}
