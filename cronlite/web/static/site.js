// Refreshes the marked parts of the page in view, and previews what is typed. Without it every page is complete, too.
"use strict";

const EVERY_MS = 5000;
const TYPED_MS = 300;
const REFRESH = { "X-Cronlite-Refresh": "1" };

// Nothing changes under somebody's hands: not below the pointer, not around the focus, not in a form half filled in.
function inUse(part) {
  if (part.querySelector("[data-keep]") || part.matches("[data-keep], :hover, :has(details[open])") || part.contains(document.activeElement)) return true;
  return [...part.querySelectorAll("input, textarea, select")].some((field) =>
    field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
      : field.tagName === "SELECT" ? [...field.options].some((option) => option.selected !== option.defaultSelected)
        : field.type !== "hidden" && field.value !== field.defaultValue);
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// Once a form is on its way, the page that it was sent from is no more.
let leaving = false;
document.addEventListener("submit", () => { leaving = true; });
window.addEventListener("pageshow", () => { leaving = false; });

async function refresh() {
  const parts = document.querySelectorAll("[data-live]");
  if (document.hidden || leaving || !parts.length) return;
  const answer = await fetch(location.href, { headers: REFRESH, redirect: "error" });
  if (!answer.ok) return;
  const fresh = parsed(await answer.text());
  for (const part of parts) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!next || inUse(part)) continue;
    // A form's token is another each time, and no reason to draw anything anew.
    const token = part.querySelector("[name=form_token]");
    const other = next.querySelector("[name=form_token]");
    if (token && other) other.setAttribute("value", token.getAttribute("value"));
    if (next.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(next));
  }
}

function keepRefreshing() {
  setTimeout(() => refresh().catch(() => {}).finally(keepRefreshing), EVERY_MS);
}

// A form with data-preview names the page that shows what would come of it, and the part to show it in.
function preview(form) {
  const shown = document.getElementById(form.dataset.shows);
  let waiting;
  let asked = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const mine = ++asked;
      const sent = { method: "POST", headers: REFRESH, body: new URLSearchParams(new FormData(form)) };
      const answer = await fetch(form.dataset.preview, sent).catch(() => null);
      if (answer?.ok && mine === asked) {
        shown.replaceChildren(...parsed(await answer.text()).body.childNodes);
      }
    }, TYPED_MS);
  });
}

// An element with data-follow names the events of a run: what it prints is added to the text below, while that is in view.
function follow(part) {
  let events;
  const shown = part.querySelector("pre");
  function listen() {
    if (document.hidden || events) return;
    events = new EventSource(part.dataset.follow);
    events.addEventListener("output", ({ data }) => {
      const { text, begins } = JSON.parse(data);
      const wasAtEnd = shown.scrollTop + shown.clientHeight >= shown.scrollHeight - 8;
      shown.textContent = ((begins ? "" : shown.textContent) + text).slice(-65536);
      shown.hidden = !shown.textContent;
      if (wasAtEnd) shown.scrollTop = shown.scrollHeight;
    });
    events.addEventListener("error", () => { if (events?.readyState === 2) part.removeAttribute("data-keep"); });
    events.addEventListener("end", () => { events.close(); location.reload(); });
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && events) { events.close(); events = undefined; }
    listen();
  });
  part.dataset.keep = "";
  listen();
}

// One box picks all of a list.
document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-all]")) return;
  for (const box of target.form.querySelectorAll("tbody input[type=checkbox]")) box.checked = target.checked;
});

document.documentElement.classList.add("scripted");
document.querySelectorAll("form[data-preview]").forEach(preview);
document.querySelectorAll("[data-follow]").forEach(follow);
keepRefreshing();
