"""The style of the page: light and dark, wide and narrow, and on paper.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart; marks also differ
by shape and lines by their dashes.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --card: #f6f6f4; --ink: #1a1a1a; --soft: #595959; --line: #d6d6d2;
  --c0: #0072b2; --c1: #b24a00; --c2: #00795a; --c3: #8a6100; --c4: #a34f7e;
  --heat: 0, 114, 178; --good: #00694d; --bad: #a84300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141517; --card: #1e2023; --ink: #ececea; --soft: #a9abae; --line: #3a3d41;
    --c0: #56b4e9; --c1: #f08a3c; --c2: #2fc39a; --c3: #e6b23a; --c4: #e39bc4;
    --heat: 86, 180, 233; --good: #2fc39a; --bad: #f08a3c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem clamp(.9rem, 3vw, 2.5rem) 4rem; max-width: 82rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1 { font-size: 1.15rem; font-weight: 600; color: var(--soft); margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--c0); }
.answer { font-size: clamp(1.3rem, 3.2vw, 1.8rem); line-height: 1.3; font-weight: 600; }
.answer, .wide { max-width: 56rem; }
.note, caption, figcaption, .soft { color: var(--soft); }
.note { font-size: .88rem; }
.warning { border-left: 4px solid var(--bad); padding: .3rem .8rem; background: var(--card); }
.good { color: var(--good); } .bad { color: var(--bad); }
nav { font-size: .9rem; margin: 1rem 0 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .7rem;
  margin: 1rem 0; padding: 0; }
.card { background: var(--card); border-radius: .5rem; padding: .7rem .9rem; margin: 0; }
.card dt { color: var(--soft); font-size: .88rem; }
.card dd { margin: 0; } .card .value { font-size: 1.5rem; font-weight: 650; line-height: 1.25; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: 1rem 1.6rem; align-items: start; }
figure { margin: .4rem 0; max-width: 36rem; } figcaption { font-size: .92rem; font-weight: 600; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11px; fill: var(--ink); }
svg .tick, svg .name { fill: var(--soft); font-size: 10.5px; } svg .small { font-size: 9px; }
svg .mid { text-anchor: middle; } svg .end { text-anchor: end; }
svg .label { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.grid { stroke: var(--line); stroke-width: .7; } .axis { stroke: var(--soft); }
.rule { stroke: var(--soft); stroke-dasharray: 2 3; } .diagonal { stroke: var(--soft); }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; } .thin { stroke-width: 1; }
.faint { opacity: .55; }
.dash { stroke-dasharray: 6 3; } .dots { stroke-dasharray: 1.5 3; }
.c0 { fill: var(--c0); stroke: var(--c0); } .c1 { fill: var(--c1); stroke: var(--c1); }
.c2 { fill: var(--c2); stroke: var(--c2); } .c3 { fill: var(--c3); stroke: var(--c3); }
.c4 { fill: var(--c4); stroke: var(--c4); }
.line.c0, .line.c1, .line.c2, .line.c3, .line.c4, .x { fill: none; }
svg text.c0, svg text.c1, svg text.c2, svg text.c3, svg text.c4 { stroke: var(--paper); }
svg text.c0 { fill: var(--c0); } svg text.c1 { fill: var(--c1); } svg text.c2 { fill: var(--c2); }
svg text.c3 { fill: var(--c3); } svg text.c4 { fill: var(--c4); }
.front { stroke: var(--soft); } .soft-mark { fill: var(--soft); stroke: none; }
.ring { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.m { stroke-width: 1.5; cursor: default; } .m:focus { outline: 2px solid var(--ink);
  outline-offset: 2px; }
.heat { fill: rgb(var(--heat)); stroke: none; } .heat.c1 { fill: var(--c1); }
.empty { fill: none; stroke: var(--line); }
svg .on { fill: var(--paper); }
.bar { stroke: none; opacity: .8; }
.scroll { overflow-x: auto; max-width: 100%; margin: .6rem 0; }
.scroll:focus-visible, button:focus-visible, a:focus-visible, summary:focus-visible,
  pre:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; font-size: .92rem; font-weight: 600; padding-bottom: .3rem; }
td { white-space: nowrap; }
th, td { padding: .28rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 500; } thead th { font-weight: 600; color: var(--soft); white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; overflow-wrap: break-word; min-width: 6.5rem; }
.named th:first-child { min-width: 0; }
.named thead th:nth-child(2) { text-align: left; }
.named td:nth-child(2) { text-align: left; white-space: normal; min-width: 11rem; }
.text { min-width: 38rem; } .text td, .text thead th { text-align: left; }
.text td { overflow-wrap: break-word; max-width: 18rem; white-space: normal; }
.long .scroll { max-height: 30rem; overflow-y: auto; }
.long thead th { position: sticky; top: 0; background: var(--paper); }
tr.taken th, tr.taken td { font-weight: 700; }
thead button { all: unset; cursor: pointer; } thead button::after { content: " ↕"; opacity: .45; }
[aria-sort=ascending] button::after { content: " ↑"; opacity: 1; }
[aria-sort=descending] button::after { content: " ↓"; opacity: 1; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
pre { background: var(--card); padding: .8rem; border-radius: .5rem; overflow: auto;
  max-height: 28rem; font-size: .82rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.copy { font: inherit; font-size: .85rem; padding: .2rem .7rem; border-radius: .4rem;
  border: 1px solid var(--line); background: var(--card); color: var(--ink); cursor: pointer; }
#tip { position: fixed; z-index: 9; pointer-events: none; max-width: 20rem; padding: .3rem .6rem;
  border-radius: .35rem; background: var(--ink); color: var(--paper); font-size: .85rem;
  white-space: pre-line; overflow-wrap: anywhere; }
#tip[hidden] { display: none; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 30rem) {
  td { white-space: normal; } th, td { padding: .28rem .35rem; } table { font-size: .84rem; }
  .cards { grid-template-columns: 1fr 1fr; gap: .5rem; } .card { padding: .6rem .7rem; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
@page { size: A4; margin: 10mm; }
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --c0: #0072b2;
    --c1: #b24a00; --c2: #00795a; --c3: #8a6100; --c4: #a34f7e; --heat: 0, 114, 178; }
  * { print-color-adjust: exact; }
  html { font-size: 8.4pt; }
  body { padding: 0; max-width: none; font-size: 1rem; line-height: 1.3; }
  h2 { font-size: 10.5pt; margin: 2.2mm 0 .6mm; break-after: avoid; } p { margin: .6mm 0; }
  .answer { font-size: 13pt; } .cards { margin: 2mm 0; grid-template-columns: repeat(4, 1fr); }
  .card { padding: 1mm 2mm; border: 1px solid var(--line); } .card .value { font-size: 12pt; }
  .charts { grid-template-columns: repeat(3, 1fr); gap: 1mm 4mm; }
  .many { grid-template-columns: repeat(4, 1fr); } pre { padding: 1mm 0; }
  figure { break-inside: avoid; margin: 0; } table { font-size: 8pt; }
  th, td { padding: .3mm 2mm; } thead button::after { content: ""; }
  .screen, nav, .copy, details, .skip { display: none; }
  .scroll { overflow: visible; margin: 1mm 0; }
}
"""
