"""Docstrings as Markdown for the site: sections become lists, examples become code.

A section is a line such as `Args:` with an indented block of entries, `name: text.`, of which several may share a line.
"""

import re
import textwrap
from typing import Any

import griffe

__all__ = ["Sections", "as_markdown"]

TITLES = {"Args": "Arguments", "Raises": "Raises", "Shape": "Shapes", "Attributes": "Attributes", "Returns": "Returns",
          "Yields": "Yields", "Example": "Example"}  # fmt: skip
SECTION = re.compile(rf"^({'|'.join(TITLES)}):[ \t]*(.*)\n?((?:(?:[ \t]+.*)?(?:\n|$))*)", re.MULTILINE)
REMARK = re.compile(r"(?:^|(?<=[.)] ))(Exact|Cost|Source|Differs): ", re.MULTILINE)
ENTRY = re.compile(r"(?:^|(?<=[.?!)\]] ))((?:\*{0,2}[A-Za-z_][\w.]*)(?:(?:, | and | or )\*{0,2}[A-Za-z_][\w.]*)*): ")


def as_markdown(text: str) -> str:
    """A docstring, dedented, as Markdown."""
    return _examples(REMARK.sub(r"\n\n**\1.** ", SECTION.sub(_section, text.strip() + "\n"))).strip()


def _section(found: re.Match[str]) -> str:
    """One section: a list of its entries, or its text where it has none."""
    name, first, block = found.groups()
    if name == "Example":
        return f"**Example**\n\n{textwrap.dedent(block)}\n"
    text = " ".join(f"{first} {textwrap.dedent(block)}".split())
    starts = list(ENTRY.finditer(text)) if not first else []
    if not starts or starts[0].start() > 0:
        return f"**{TITLES[name]}.** {text}\n\n"
    ends = [*(s.start() for s in starts[1:]), len(text)]
    entries = [f"- {_code(s.group(1))}: {text[s.end() : e].strip()}" for s, e in zip(starts, ends, strict=True)]
    return f"\n**{TITLES[name]}**\n\n" + "\n".join(entries) + "\n\n"


def _code(names: str) -> str:
    return re.sub(
        r"\*{0,2}[A-Za-z_][\w.]*", lambda m: m.group(0) if m.group(0) in ("and", "or") else f"`{m.group(0)}`", names
    )


def _examples(text: str) -> str:
    """Doctests in fences."""
    lines, inside = [], False
    for line in text.splitlines():
        if not inside and line.lstrip().startswith(">>>"):
            lines += ["", "```pycon"]
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line.strip() if inside and line.lstrip().startswith((">>>", "...")) else line)
    return "\n".join([*lines, "```"] if inside else lines)


class Sections(griffe.Extension):
    """Rewrites every docstring as it is collected."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
