"""The style sheet of every page: for a phone of 400 pixels, a desk, and paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """\
:root { color-scheme: light; --ink: #1b1d20; --quiet: #54585e; --line: #c9cdd2; --link: #0a4f96;
  --paper: #ffffff; --shade: #f3f5f7; }
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem 1rem 3rem; overflow-wrap: break-word; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 2.5rem 0 .75rem; padding-top: .75rem;
  border-top: 2px solid var(--ink); }
h3 { font-size: 1.08rem; margin: 1.75rem 0 .5rem; }
h4 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p, ul, ol, dl { margin: .5rem 0 .75rem; }
p, li, dd { max-width: 52rem; }
a { color: var(--link); }
.quiet, figcaption, caption { color: var(--quiet); font-size: .875rem; }
.note, .warning { padding: .5rem .75rem; border-left: 4px solid var(--link);
  background: var(--shade); }
.warning { border-left: 8px double #8a3b00; background: #fdf1e4; }
code, pre, kbd { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: .875em; overflow-wrap: anywhere; }
pre { background: var(--shade); padding: .6rem .75rem; white-space: pre-wrap; margin: .5rem 0; }
.scroll { max-width: 100%; overflow-x: auto; margin: .75rem 0 1rem; }
.scroll:focus-visible, a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 .35rem; }
caption > span { display: block; position: sticky; left: 0; max-width: calc(100vw - 2rem); }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
tbody th { font-weight: 400; }
table.numbers td, table.numbers thead th:not(:first-child) { text-align: right;
  padding: .3rem 0 .3rem 1rem; }
table.numbers td { white-space: nowrap; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.interval { white-space: nowrap; }
td.best { font-weight: 700; }
td.none { color: var(--quiet); }
figure { margin: .75rem 0 1.25rem; }
figure svg, figure img { display: block; max-width: 100%; height: auto; }
figcaption { margin-top: .35rem; max-width: 52rem; }
.pictures { display: grid; gap: 0 2rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)); }
.pictures > * { min-width: 0; }
dl.facts { display: grid; grid-template-columns: minmax(9rem, max-content) minmax(0, 1fr);
  gap: .2rem 1.25rem; }
dl.facts dt { color: var(--quiet); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
ul.key { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.5rem;
  font-size: .9rem; }
ul.key li { display: flex; align-items: center; gap: .5rem; }
ul.key svg { flex: none; }
.tiles { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.tiles figure { margin: 0 0 .5rem; break-inside: avoid; }
.tiles figcaption { margin: 0; font-size: .8rem; }
.tiles img { image-rendering: pixelated; }
details { margin: .5rem 0; }
details > summary { cursor: pointer; }
nav.contents ul { list-style: none; margin: .5rem 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.25rem; }
.added, .removed, .changed { border-left: 4px solid; }
p.added, p.removed, p.changed, li.added, li.removed, li.changed { padding-left: .5rem; }
.added { background: #e7f4ea; color: #0d4a1c; border-left-color: #1f7a37; }
.removed { background: #fbeae8; color: #7a1a0d; border-left: 6px double #a83222; }
.changed { background: #fff5da; color: #553e00; border-left: 4px dashed #8a6500; }
.added::before, .removed::before, .changed::before,
tr.added > :first-child::before, tr.removed > :first-child::before,
tr.changed > :first-child::before { font-family: ui-monospace, "DejaVu Sans Mono", monospace;
  font-weight: 700; }
.added:not(tr)::before, tr.added > :first-child::before { content: "+ "; }
.removed:not(tr)::before, tr.removed > :first-child::before { content: "\\2212  "; }
.changed:not(tr)::before, tr.changed > :first-child::before { content: "~ "; }
tr.added > :first-child, tr.removed > :first-child, tr.changed > :first-child {
  padding-left: .5rem; }
@media (max-width: 40rem) {
  main { padding: .5rem .75rem 2rem; }
  h1 { font-size: 1.45rem; }
  h2 { font-size: 1.2rem; }
  dl.facts { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dl.facts dd { margin: 0 0 .5rem; }
  table.numbers td { white-space: normal; }
}
@media print {
  @page { margin: 14mm 12mm; }
  body { font-size: 9.5pt; }
  main { max-width: none; padding: 0; }
  h1, h2, h3, h4, caption { break-after: avoid; }
  h2 { margin-top: 1.5rem; }
  figure, tr, .unbroken, p.note, p.warning { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; }
  caption > span { max-width: none; }
  table { max-width: 100%; font-size: 8pt; }
  table.numbers td, .interval { white-space: normal; }
  th, td { overflow-wrap: anywhere; }
  .unprinted { display: none; }
  details::details-content { content-visibility: visible; display: block; }
  .pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  a { color: inherit; text-decoration: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
