// Search, links that open what they lead to, and buttons that copy examples. The page is complete without it.
"use strict";

const search = document.getElementById("search");
const operations = [...document.querySelectorAll("details.operation")].map((element) => ({
  element,
  link: document.querySelector(`nav [data-operation="${element.id}"]`),
  text: [...element.querySelectorAll("summary, dl")].map((part) => part.textContent).join(" ").toLowerCase(),
}));

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { element, link, text } of operations) {
    const fits = words.every((word) => text.includes(word));
    element.hidden = link.hidden = !fits;
    found += fits;
  }
  // What has no operations left goes too; while somebody searches, so do the parts that have none.
  for (const section of document.querySelectorAll("main > section")) {
    const all = section.querySelectorAll("details.operation");
    section.hidden = words.length > 0 && ![...all].some((operation) => !operation.hidden);
    document.querySelector(`nav a[href="#${CSS.escape(section.id)}"]`).parentElement.hidden = section.hidden;
  }
  document.querySelector("main > header").hidden = words.length > 0;
  document.getElementById("none").hidden = found > 0;
}

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (const link of document.querySelectorAll("nav a.here")) link.classList.remove("here");
  if (!target) return;
  if (target.closest("[hidden]") || target.hidden) {
    search.value = "";
    filter();
  }
  if (target.tagName === "DETAILS") target.open = true;
  document.querySelector(`nav [data-operation="${CSS.escape(target.id)}"] a`)?.classList.add("here");
  target.scrollIntoView();
}

function copyable(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pre.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  pre.append(button);
}

search.closest("label").hidden = false;
search.addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && search.value) {
    search.value = "";
    filter();
  }
});
window.addEventListener("hashchange", follow);
// Copying needs a secure page, as browsers see it.
if (navigator.clipboard) document.querySelectorAll("main pre").forEach(copyable);
follow();
