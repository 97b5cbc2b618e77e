# ruff: noqa: T201
"""Write the README.md of every role from its argument specification.

    role_readmes.py            write them
    role_readmes.py --check    only name those that are out of date (rc 1), for lint

Text between the two markers is written by hand and kept. The example is examples/roles/ROLE.yml, if there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- Written by hand up to the end marker; `make readmes` generates the rest from meta/argument_specs.yml -->"
END = "<!-- End of the text written by hand -->"
INLINE_DEFAULT = 60
FORMS = {"I": "*{0}*", "B": "**{0}**", "U": "<{0}>", "L": "[{0}]({1})", "R": "{0}"}
MARKUP = re.compile(r"\b(RV|[BCEILMOPRUV])\(((?:\\.|[^()\\]|\([^()]*\))*)\)")

Option = Mapping[str, Any]


def markdown(text: str) -> str:
    """Ansible's markup as Markdown."""

    def one(match: re.Match[str]) -> str:
        kind, body = match[1], re.sub(r"\\(.)", r"\1", match[2])
        label, _comma, target = (part.strip() for part in body.partition(","))
        if kind in "LR":
            return FORMS[kind].format(label, target)
        return FORMS.get(kind, "`{0}`").format(body.partition("#")[0] if kind == "P" else body)

    return MARKUP.sub(one, text)


def paragraphs(description: str | list[str]) -> list[str]:
    texts = [description] if isinstance(description, str) else description
    return [markdown(" ".join(text.split())) for text in texts]


def value(default: object) -> str:
    if default == "":
        return '""'
    return yaml.safe_dump(default, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()


def facts(option: Option) -> str:
    """Type, default and choices on one line; a long default follows as a block of its own."""
    elements = f" of {option['elements']}" if "elements" in option else ""
    parts = [f"{option['type']}{elements}"]
    if option.get("required"):
        parts.append("required")
    if "default" in option and len(value(option["default"])) <= INLINE_DEFAULT:
        parts.append(f"default `{value(option['default'])}`")
    if "choices" in option:
        parts.append("one of " + ", ".join(f"`{value(choice)}`" for choice in option["choices"]))
    if option.get("no_log"):
        parts.append("secret")
    return "; ".join(parts)


def nested(options: Mapping[str, Option], depth: int = 0) -> Iterator[str]:
    for name, option in options.items():
        yield f"{'  ' * depth}- `{name}` ({facts(option)}): {' '.join(paragraphs(option['description']))}"
        yield from nested(option.get("options") or {}, depth + 1)


def section(name: str, option: Option) -> str:
    """One variable."""
    parts = [f"### {name}", facts(option), *paragraphs(option["description"])]
    if "default" in option and len(value(option["default"])) > INLINE_DEFAULT:
        block = yaml.safe_dump({name: option["default"]}, sort_keys=False, width=120)
        parts.append(f"Default:\n\n```yaml\n{block}```")
    if option.get("options"):
        parts.append("\n".join(nested(option["options"])))
    return "\n\n".join(parts)


def entry_point(name: str, spec: Mapping[str, Any]) -> Iterator[str]:
    if name != "main":
        yield f"## Entry point {name}"
        yield from paragraphs(spec["description"])
    if spec.get("options"):
        yield "## Variables" if name == "main" else f"### Variables of {name}"
        yield from (section(*row) for row in spec["options"].items())


def by_hand(readme: str) -> str:
    return readme.partition(BEGIN)[2].partition(END)[0].strip()


def render(role: str, specs: Mapping[str, Any], text: str, example: str) -> str:
    parts = [f"# nexod.infra.{role}", markdown(specs["main"]["short_description"]).rstrip(".") + "."]
    parts += paragraphs(specs["main"]["description"])
    parts += [BEGIN, *([text] if text else []), END]
    if example:
        parts.append(f"## Example\n\n```yaml\n{example.removeprefix('---').strip()}\n```")
    for name, spec in specs.items():
        parts += entry_point(name, spec)
    return "\n\n".join(parts) + "\n"


def readme_of(role: Path) -> str:
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    path, example = role / "README.md", ROOT / "examples/roles" / f"{role.name}.yml"
    readme = path.read_text(encoding="utf-8") if path.exists() else ""
    return render(role.name, specs, by_hand(readme), example.read_text(encoding="utf-8") if example.exists() else "")


def main(check: bool) -> int:
    stale = []
    for role in sorted(path.parents[1] for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")):
        path, text = role / "README.md", readme_of(role)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not check:
            path.write_text(text, encoding="utf-8")
    if stale:
        print("Out of date, run `make readmes`:" if check else "Written:", *stale)
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
