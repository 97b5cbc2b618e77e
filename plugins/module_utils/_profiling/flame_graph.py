# Copyright: (c) 2026, the nexod.infra maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flame graph as one SVG file without scripts: it opens anywhere, and nothing in it is loaded or run."""

from __future__ import annotations

import dataclasses
import html
import typing as t
import zlib

from ansible_collections.nexod.infra.plugins.module_utils._profiling.stacks import Profile, share

WIDTH, HEIGHT, TOP = 1200.0, 17, 44
#: Narrower boxes cannot be seen.
NARROWEST = 0.4
#: Width of a character of the font.
CHARACTER = 6.7


@dataclasses.dataclass
class Node:
    """A function below those that called it, with its samples."""

    name: str
    samples: int = 0
    calls: dict[str, Node] = dataclasses.field(default_factory=dict)


def tree(profile: Profile) -> Node:
    """All stacks, those with the same beginning joined."""
    root = Node("all")
    for stack, count in profile.stacks.items():
        root.samples += count
        node = root
        for frame in stack:
            node = node.calls.setdefault(frame.function, Node(frame.function))
            node.samples += count
    return root


@dataclasses.dataclass(frozen=True)
class Box:
    """Where a function is drawn."""

    name: str
    samples: int
    depth: int
    left: float
    width: float


def boxes(root: Node) -> t.Iterator[Box]:
    """The boxes of all functions that are wide enough to be seen, callers above what they called."""
    # A list, not recursion: stacks may be deeper than Python's own limit.
    waiting = [(root, 0, 0.0)]
    scale = WIDTH / root.samples if root.samples else 0
    while waiting:
        node, depth, left = waiting.pop()
        width = node.samples * scale
        if width < NARROWEST:
            continue
        yield Box(node.name, node.samples, depth, left, width)
        for call in sorted(node.calls.values(), key=lambda one: one.name):
            waiting.append((call, depth + 1, left))
            left += call.samples * scale


def colour(name: str) -> str:
    """The same for the same function in every profile, so that two pictures can be compared."""
    seed = zlib.crc32(name.encode("utf-8", "replace"))
    return f"hsl({seed % 45 + 8},{60 + seed // 64 % 25}%,{62 + seed // 4096 % 16}%)"


def escaped(text: str) -> str:
    """Text for XML: control characters are not allowed in it at all."""
    return html.escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))


def drawn(box: Box, whole: int) -> str:
    """One box with its name, as far as it fits, and its numbers as a tooltip."""
    top, letters = TOP + box.depth * HEIGHT, int((box.width - 6) / CHARACTER)
    label = box.name if len(box.name) <= letters else f"{box.name[: letters - 1]}…"
    text = f'<text x="{box.left + 3:.2f}" y="{top + 12}">{escaped(label)}</text>' if letters > 2 else ""
    return (
        f"<g><title>{escaped(box.name)}: {box.samples} samples, {share(box.samples, whole):g} %</title>"
        f'<rect x="{box.left:.2f}" y="{top}" width="{max(box.width - 0.3, 0.1):.2f}" height="{HEIGHT - 1}" '
        f'fill="{colour(box.name)}"/>{text}</g>'
    )


def svg(profile: Profile, title: str) -> str:
    """The flame graph, outermost calls at the top."""
    found = list(boxes(tree(profile)))
    height = TOP + HEIGHT * (max((box.depth for box in found), default=0) + 2)
    body = "\n".join(drawn(box, profile.samples) for box in found)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height}" font-family="monospace" '
        f'font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="3" y="20" font-size="14">{escaped(title)}</text>\n{body}\n</svg>\n'
    )
