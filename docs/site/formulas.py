"""Formulas of the pages as MathML: an extension of Python-Markdown.

In the pages they are TeX, ``$x^2$`` in a line and a paragraph ``$$ ... $$`` of its own, as code
hosts show them. Browsers show MathML without any script or font.
"""

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

# No space inside the signs and no digit after them: "$5 and $6" are prices.
INLINE = r"(?<![\\$\w])\$(?![\s$])((?:[^$\n]|\n(?!\n))+?)(?<![\s\\])\$(?![\w$])"
BLOCK = re.compile(r"^\$\$\s*(.+?)\s*\$\$$", re.DOTALL)


class _Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]  # noqa: N802
        return self.md.htmlStash.store(convert(m[1])), m.start(0), m.end(0)


class _Block(BlockProcessor):
    def test(self, parent: Element, block: str) -> bool:
        return BLOCK.match(block.strip()) is not None

    def run(self, parent: Element, blocks: list[str]) -> None:
        found = BLOCK.match(blocks.pop(0).strip())
        assert found is not None
        html = f'<div class="formula">{convert(found[1], display="block")}</div>'
        SubElement(parent, "p").text = self.parser.md.htmlStash.store(html)


class Formulas(Extension):
    """Converts formulas outside of code; a formula that is no TeX stops the build."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """After code in backticks (190), before escapes (180) and emphasis."""
        md.inlinePatterns.register(_Inline(INLINE, md), "formula", 186)
        md.parser.blockprocessors.register(_Block(md.parser), "formulas", 75)


def makeExtension(**settings: Any) -> Formulas:  # noqa: N802
    """What Python-Markdown calls, by this name."""
    return Formulas(**settings)
