// What the pages do beyond links and forms: go on live, keys, charts' readings, light and dark.
// Pages work without it. It loads nothing but pages of this server.
"use strict";

const LIVE_MS = 2000;
const root = document.documentElement;

// Light or dark: the system's choice, until the button is used.
const saved = localStorage.getItem("theme");
if (saved) root.dataset.theme = saved;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// Live: ask for this page again; the answer is empty if nothing has changed.
async function refresh() {
  const old = document.getElementById("live");
  const busy = document.hidden || picked().length || old.querySelector("details[open]");
  if (old.dataset.live === undefined || busy || String(getSelection())) return;
  const answer = await fetch(location.href, {
    headers: { "X-Litespan-Version": old.dataset.version },
  });
  if (answer.status !== 200) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const at = rows().indexOf(current());
  for (const part of ["#live", ".store"]) {
    document.querySelector(part).replaceWith(page.querySelector(part));
  }
  if (at >= 0) go(at, false);
}
setInterval(() => refresh().catch(() => document.querySelector(".dot").classList.add("bad")), LIVE_MS);

// Rows: j, k, Enter, x, c.
const rows = () => [...document.querySelectorAll(".list tbody tr")];
const current = () => document.querySelector(".list tr.at");
const picked = () => [...document.querySelectorAll("td.pick input:checked")];

function go(to, scroll = true) {
  const all = rows();
  if (!all.length) return;
  current()?.classList.remove("at");
  const row = all[Math.max(0, Math.min(to, all.length - 1))];
  row.classList.add("at");
  if (scroll) row.scrollIntoView({ block: "nearest" });
}

function choose() {
  document.getElementById("picking")?.classList.toggle("two", picked().length === 2);
}
document.addEventListener("change", choose);

const keys = {
  j: () => go(rows().indexOf(current()) + 1),
  k: () => go(rows().indexOf(current()) - 1),
  Enter: () => current()?.querySelector("a.row").click(),
  x: () => current()?.querySelector("td.pick input")?.click(),
  c: () => picked().length === 2 && document.getElementById("picking").requestSubmit(),
  h: () => document.querySelector("a[rel=prev]")?.click(),
  l: () => document.querySelector("a[rel=next]")?.click(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => document.getElementById("keys").showModal(),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
  if (event.key === "Escape" && typing) event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  if (event.key === "Enter" && event.target.matches("a, button, summary")) return;
  const page = document.querySelector(`.top [data-key="${CSS.escape(event.key)}"]`);
  const act = page ? () => page.click() : keys[event.key];
  if (!act || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  act();
});

// The reading of the step of a chart below the pointer.
document.addEventListener("pointerover", (event) => {
  const chart = event.target.closest?.(".chart");
  const tip = event.target.closest?.("[data-tip]")?.dataset.tip ?? "";
  if (chart) chart.querySelector("output").textContent = tip;
});
document.addEventListener("pointerout", (event) => {
  const chart = event.target.closest?.(".chart");
  if (chart && !chart.contains(event.relatedTarget)) chart.querySelector("output").textContent = "";
});

document.addEventListener("click", (event) => {
  const copy = event.target.closest?.("[data-copy]");
  if (copy) {
    navigator.clipboard?.writeText(copy.dataset.copy).then(() => copy.classList.add("done"));
  }
  for (const menu of document.querySelectorAll(".menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.getElementById("help").addEventListener("click", () => keys["?"]());

// Values of a filter are loaded when its field is used; empty fields stay out of the URL.
document.addEventListener("focusin", async (event) => {
  const name = event.target.dataset?.choices;
  const list = name && document.getElementById(`choices-${name}`);
  if (!list || list.childElementCount) return;
  const answer = await fetch(`/choices/${encodeURIComponent(name)}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  list.replaceChildren(...page.querySelectorAll("option"));
});
document.addEventListener("submit", (event) => {
  for (const field of event.target.querySelectorAll("input[name]")) {
    if (!field.value) field.disabled = true;
  }
});
