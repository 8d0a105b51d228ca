"""A Markdown extension: formulas between dollars become MathML, which browsers draw without a script or a font."""

import re
from typing import Any
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

__all__ = ["makeExtension"]

INLINE = r"(?<![\\$\w])\$(?![\s$])([^$]*?[^\s\\$])\$(?![\w$])"
BLOCK = r"\$\$\s*([^$]+?)\s*\$\$"


class Formula(InlineProcessor):
    """One formula; `display` is block or inline."""

    def __init__(self, pattern: str, md: Markdown, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element, int, int]:
        """The element, and where the formula starts and ends."""
        return convert_to_element(m.group(1), display=self.display), m.start(0), m.end(0)


class Formulas(Extension):
    """Both kinds, before escapes and emphasis are looked at and after code."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.inlinePatterns.register(Formula(BLOCK, md, "block"), "formula block", 186)
        md.inlinePatterns.register(Formula(INLINE, md, "inline"), "formula", 185)


def makeExtension(**settings: Any) -> Formulas:
    """What Markdown calls."""
    return Formulas(**settings)
