// Single keys. None counts while somebody types, and a browser keeps them off once they were switched off there.

import { BASE, showAllHeld } from "./live.js";

const GO_MILLISECONDS = 1_500; // how long "g" waits for the key that says where
const OFF = `teamroom ${BASE} keys off`; // where the browser keeps that they are switched off
const PLACES = {
  h: "/", b: "/board", m: "/members", d: "/decisions", o: "/overnight", l: "/log", a: "/acts", e: "/enrol", s: "/settings",
};

let selected = null; // the id of the selected row
let goes = 0; // until when "g" waits

export function listenForKeys() {
  document.addEventListener("keydown", press);
  document.addEventListener("click", (event) => event.target.closest("[data-keys]") && switchKeys());
  window.addEventListener("storage", () => showSwitch(document)); // another window switched them
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) return document.activeElement?.blur();
  if (localStorage.getItem(OFF) || isTyping(event.target) || document.querySelector("dialog[open]")) return;
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
    n: showAllHeld,
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => document.getElementById("help")?.showModal(),
  };
  const choice = /^[1-9]$/.test(event.key) && here.querySelectorAll(".choices button")[Number(event.key) - 1];
  if (choice) choice.focus();
  else if (event.key in keys) keys[event.key]();
  else return;
  event.preventDefault();
}

function isTyping(target) {
  return target.matches("input, textarea, select") || target.isContentEditable;
}

// ------------------------------------------------------------------ the switch

export function showSwitch(root) {
  for (const button of root.querySelectorAll("[data-keys]")) {
    button.hidden = false;
    button.textContent = `Switch single keys ${localStorage.getItem(OFF) ? "on" : "off"} in this browser`;
  }
}

function switchKeys() {
  if (localStorage.getItem(OFF)) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "1");
  showSwitch(document);
}

// ------------------------------------------------------------------ rows

function step(by) {
  const all = [...document.querySelectorAll("main .row[id]")].filter((row) => row.checkVisibility());
  const at = all.findIndex((row) => row.id === selected);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  if (!next) return;
  selected = next.id;
  markSelected();
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a[href]")?.focus({ preventScroll: true });
}

export function markSelected() {
  for (const other of document.querySelectorAll(".row[aria-current]")) other.removeAttribute("aria-current");
  if (selected) document.getElementById(selected)?.setAttribute("aria-current", "true");
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
