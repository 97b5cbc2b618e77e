# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page of a run looks. Colours are named after their meaning; a test checks them against WCAG AA."""

from __future__ import annotations

LIGHT = {
    "page": "#f4f5f7",
    "card": "#ffffff",
    "tint": "#f0f2f5",
    "line": "#dfe3e9",
    "ink": "#18202c",
    "muted": "#566171",
    "idle": "#7c899b",
    "did": "#b36a12",
    "ok": "#17703f",
    "bad": "#b3261e",
    "plan": "#2456b8",
    "changed": "#94540a",
    "ok-tint": "#e5f4ea",
    "bad-tint": "#fdecea",
    "plan-tint": "#e8effc",
    "changed-tint": "#fcf0df",
}
DARK = {
    "page": "#0e1218",
    "card": "#161c25",
    "tint": "#1e2631",
    "line": "#2b3442",
    "ink": "#e6ebf2",
    "muted": "#a0acbc",
    "idle": "#6b788b",
    "did": "#e0a044",
    "ok": "#62cf92",
    "bad": "#ff8f85",
    "plan": "#8fb6ff",
    "changed": "#f0b45c",
    "ok-tint": "#14301f",
    "bad-tint": "#3a1a19",
    "plan-tint": "#1a2a4a",
    "changed-tint": "#36270f",
}

RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Ubuntu, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: clamp(1rem, 4vw, 3rem) clamp(.75rem, 4vw, 2rem) 2rem; }
h1, h2, h3, p, dl, dd, ol, ul, figure, pre { margin: 0; padding: 0; }
ol, ul { list-style: none; }
h1 { font-size: clamp(1.6rem, 1.2rem + 2.2vw, 2.4rem); line-height: 1.15; letter-spacing: -.02em; font-weight: 700; }
h2 { font-size: 1.15rem; line-height: 1.3; letter-spacing: -.005em; margin-bottom: 1rem; }
h3 { font-size: 1rem; line-height: 1.4; }
a { color: var(--plan); text-underline-offset: .18em; }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--plan); outline-offset: 3px; border-radius: 4px; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .86em; }
pre { white-space: pre-wrap; background: var(--tint); border-radius: 8px; padding: .75rem .9rem; line-height: 1.5; }
:not(pre) > code { background: var(--tint); border-radius: 4px; padding: .1em .35em; }
.muted { color: var(--muted); }
.small { font-size: .875rem; }
.ok { color: var(--ok); } .bad { color: var(--bad); } .plan { color: var(--plan); } .changed { color: var(--changed); }
.num { font-variant-numeric: tabular-nums; white-space: nowrap; }

header { display: flex; gap: 1.1rem; align-items: flex-start; margin-bottom: 1.75rem; }
.seal { flex: none; width: 3.25rem; height: 3.25rem; border-radius: 50%; display: grid; place-items: center;
  font-size: 1.6rem; line-height: 1; font-weight: 700; background: currentcolor; }
.seal > span { color: var(--card); }
.meta { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; margin-top: .5rem; color: var(--muted); }
.note { margin-top: .5rem; }

section, .facts > div { background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
section { padding: clamp(1rem, 3vw, 1.6rem); margin-bottom: 1.25rem; }
section > .small { margin-top: .6rem; }
section > .small + .small { margin-top: .2rem; }
.facts { display: flex; flex-wrap: wrap; gap: .9rem; margin-bottom: 1.25rem; }
.facts > div { flex: 1 1 auto; min-width: 9rem; max-width: 100%; padding: .95rem 1.1rem; }
.facts dt { color: var(--muted); font-size: .8125rem; letter-spacing: .01em; }
.facts dd { font-size: 1.1rem; font-weight: 650; line-height: 1.35; margin-top: .15rem; }
.facts dd + dd { font-size: .875rem; font-weight: 400; color: var(--muted); }
.from { color: var(--muted); font-weight: 400; }
.from, .to { display: inline-block; }

.wrong { border-color: var(--bad); border-width: 1px 1px 1px 5px; }
.wrong > h2 { color: var(--bad); }
.error + .error { border-top: 1px solid var(--line); margin-top: 1.4rem; padding-top: 1.4rem; }
.error > * + * { margin-top: .75rem; }
.error > .where { margin-top: .3rem; }
.next-step { background: var(--ok-tint); border-radius: 10px; padding: .8rem 1rem; }
.next-step strong { display: block; color: var(--ok); font-size: .875rem; }
.next-step span { white-space: pre-wrap; }
.next-step code { background: var(--card); }

.badge { display: inline-block; border-radius: .8rem; padding: .1rem .6rem; font-size: .8125rem; font-weight: 600;
  background: var(--tint); color: var(--muted); }
.badge.ok { background: var(--ok-tint); color: var(--ok); }
.badge.bad { background: var(--bad-tint); color: var(--bad); }
.badge.plan { background: var(--plan-tint); color: var(--plan); }
.badge.changed { background: var(--changed-tint); color: var(--changed); }

table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
th, td { text-align: left; padding: .55rem .75rem .55rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 500; font-size: .8125rem; padding-top: 0; }
tbody th { font-weight: 600; }
.meter { position: relative; height: .5rem; min-width: 5rem; max-width: 12rem; margin: .35rem 0 .1rem;
  border-radius: 99px; background: var(--tint); box-shadow: inset 0 0 0 1px var(--line); }
.meter > i { position: absolute; inset: 0 auto 0 0; border-radius: 99px; background: currentcolor; }
.meter > b { position: absolute; top: -.2rem; bottom: -.2rem; width: 2px; margin-left: -1px; background: var(--ink); }

.chart { --label: 7.5rem; --end: 6.5rem; position: relative; font-size: .8125rem; }
.row { display: grid; grid-template-columns: var(--label) minmax(0, 1fr) var(--end); align-items: center;
  column-gap: .75rem; min-height: 1.75rem; position: relative; }
.row > .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row > .end { color: var(--muted); white-space: nowrap; font-variant-numeric: tabular-nums; }
.row > .end.bad, .row > .end.changed { font-weight: 600; }
.row > .end.bad { color: var(--bad); } .row > .end.changed { color: var(--changed); }
.row.head { min-height: 2rem; color: var(--muted); font-weight: 600; margin-top: .9rem; }
.ticks + .row.head { margin-top: 0; }
.track { position: relative; height: 1.05rem; }
.track > i { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 3px; }
.track > .stage { background: var(--plan); opacity: .85; }
.lane { border-radius: 3px; background: var(--tint); }
.lane > .idle { top: 36%; bottom: 36%; background: var(--idle); border-radius: 1px; }
.lane > .did { background: var(--did); box-shadow: 0 0 0 1px var(--card); }
.track > .broke { background: repeating-linear-gradient(45deg, var(--bad) 0 4px, var(--card) 4px 6px);
  box-shadow: 0 0 0 1.5px var(--bad); min-width: 6px; z-index: 1; opacity: 1; }
.ticks { position: absolute; inset: 0 calc(var(--end) + .75rem) 0 calc(var(--label) + .75rem); pointer-events: none; }
.ticks > i { position: absolute; top: 1.7rem; bottom: 0; width: 1px; background: var(--line); }
.ticks > span { position: absolute; top: .35rem; transform: translateX(-50%); color: var(--muted); white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: .35rem 1.2rem; margin-top: 1rem; color: var(--muted);
  font-size: .8125rem; }
.legend li { display: flex; align-items: center; gap: .45rem; }
.legend .track { display: inline-block; width: 1.6rem; flex: none; }
.legend .track > i { left: 0; right: 0; }

.latencies { display: grid; gap: 1.2rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); }
.latencies svg { display: block; width: 100%; height: auto; margin: .35rem 0; background: var(--tint);
  border-radius: 8px; }
.latencies .nothing { background: var(--tint); border-radius: 8px; padding: 1.6rem .9rem; margin: .35rem 0; }
.latencies .during { fill: var(--line); }
.latencies .course { fill: none; stroke: var(--plan); stroke-width: 1.6; stroke-linejoin: round; }
.latencies .point { fill: var(--plan); }
.latencies .target { stroke: var(--changed); stroke-width: 1; stroke-dasharray: 5 3; }
.latencies .alert { stroke: var(--bad); stroke-width: 1; }

details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--muted); font-size: .9375rem; padding: .2rem 0; }
details > table, details > div { margin-top: .75rem; }
.group + .group { border-top: 1px solid var(--line); margin-top: 1.1rem; }
details.group { margin-top: 0; }
.group > summary { color: var(--ink); padding: .8rem 0 .2rem; }
.group:first-of-type > summary { padding-top: 0; }
.group summary h3 { display: inline; }
.host { display: grid; grid-template-columns: 7.5rem minmax(0, 1fr); gap: .3rem 1rem; padding: .5rem 0; }
.host > h4 { margin: 0; font-size: .9375rem; font-weight: 600; }
.host li + li { margin-top: .45rem; }
.host pre { margin-top: .4rem; }
.chips { display: flex; flex-wrap: wrap; gap: .5rem; }
.chips > li { background: var(--tint); border-radius: 8px; padding: .3rem .7rem; font-size: .9375rem; }
.plain > li + li { margin-top: .5rem; }
.links { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); gap: .9rem 1.5rem; }
.links dt { font-size: .8125rem; color: var(--muted); }
footer { color: var(--muted); font-size: .8125rem; padding: .5rem .25rem; }

@media (max-width: 640px) {
  header { gap: .8rem; }
  .seal { width: 2.5rem; height: 2.5rem; font-size: 1.25rem; }
  .facts { gap: .6rem; }
  .facts > div { padding: .8rem .9rem; }
  .facts > .long { order: 1; }
  .facts dd { font-size: 1rem; }
  .row { grid-template: "name end" auto "track track" auto / minmax(0, 1fr) auto; row-gap: .1rem; padding: .25rem 0; }
  .row > .track { grid-area: track; }
  .row.head { display: block; min-height: 1.5rem; }
  .ticks + .row.head { padding-bottom: 1.5rem; }
  .ticks { inset: 0; }
  .ticks > span { top: 1.75rem; }
  .ticks > span:first-of-type { transform: none; }
  .ticks > i { top: 3.1rem; }
  .host { grid-template-columns: minmax(0, 1fr); }
  table.stack, .stack tbody, .stack tr, .stack td, .stack th { display: block; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack tr { padding: .8rem 0; border-bottom: 1px solid var(--line); }
  .stack tr:first-child { padding-top: 0; }
  .stack tr:last-child { border-bottom: 0; padding-bottom: 0; }
  .stack th, .stack td { border: 0; padding: .12rem 0; }
  .stack td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: .75rem; }
  .stack td::before { content: attr(data-label); color: var(--muted); font-size: .8125rem; line-height: 1.8; }
  .targets tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .3rem 1rem; }
  .targets td { display: block; order: 1; }
  .targets td:last-child { order: 0; }
  .targets td:last-child::before { content: none; }
  .targets td::before { display: block; line-height: 1.4; }
}
@media print { body { background: #fff; } section, .facts > div { break-inside: avoid; } }
"""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


STYLE = (
    f":root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
    f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}"
    f"{RULES}"
)
