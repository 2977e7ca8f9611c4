"""The script of the page: tooltips by mouse and keyboard, sorting, copying. It reads no data."""

SCRIPT = """
"use strict";
(() => {
  const tip = document.getElementById("tip");
  let told = null;
  const hide = () => { tip.hidden = true; told = null; };
  const show = (mark) => {
    told = mark;
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = box.left + box.width / 2 - own.width / 2;
    const above = box.top - own.height - 8;
    tip.style.left = Math.max(4, Math.min(left, innerWidth - own.width - 4)) + "px";
    tip.style.top = (above > 4 ? above : box.bottom + 8) + "px";
  };
  for (const chart of document.querySelectorAll("svg")) {
    const marks = [...chart.querySelectorAll(".m")];
    marks.forEach((mark, place) => {
      const title = mark.querySelector("title");
      mark.dataset.tip = title.textContent;
      mark.setAttribute("aria-label", title.textContent);
      mark.setAttribute("role", "img");
      title.remove();
      mark.tabIndex = place ? -1 : 0;
      mark.addEventListener("mouseenter", () => show(mark));
      mark.addEventListener("mouseleave", hide);
      mark.addEventListener("focus", () => show(mark));
      mark.addEventListener("blur", hide);
      mark.addEventListener("keydown", (event) => {
        const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
        if (event.key === "Escape") hide();
        if (!by) return;
        event.preventDefault();
        const next = marks[(place + by + marks.length) % marks.length];
        mark.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    });
  }
  // The keyboard may have scrolled the page to the mark; a mouse has left it.
  const scrolled = () => { if (told) told === document.activeElement ? show(told) : hide(); };
  addEventListener("scroll", scrolled, {passive: true});
  const key = (row, column) => {
    const cell = row.children[column], value = cell.dataset.v;
    return value === undefined ? cell.textContent : Number(value);
  };
  const order = (a, b) => {
    const numbers = typeof a === "number" && typeof b === "number";
    return numbers ? a - b : String(a).localeCompare(String(b));
  };
  for (const table of document.querySelectorAll("table.sort")) {
    const heads = [...table.tHead.rows[0].children], body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows];
        rows.sort((a, b) => (up ? 1 : -1) * order(key(a, column), key(b, column)));
        body.append(...rows);
      });
    });
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.of);
      getSelection().selectAllChildren(text);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "copied";
      } catch {
        button.textContent = "selected: press Ctrl-C";
      }
    });
  }
})();
"""
