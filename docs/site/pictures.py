"""The pictures of the pages: ``python docs/site/pictures.py`` writes docs/images/*.svg.

Each has a light ground of its own, so that it can be read on dark pages, too.
"""

from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

from lada.ops.schedule import SHAPES, kept_fraction, progress, round_steps

INK, SOFT, LINE = "#1f2933", "#52606d", "#9aa5b1"
BLUE, ORANGE, GREEN, GREY = "#2b6cb0", "#c05621", "#2f855a", "#e4e7eb"
PALE = {BLUE: "#dbeafe", ORANGE: "#feebc8", GREEN: "#d8f3e3", GREY: "#f5f7fa"}
OUT = Path(__file__).resolve().parent.parent / "images"


class Picture:
    """An SVG of a size, to which shapes are added."""

    def __init__(self, width: int, height: int, title: str):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" font-family="sans-serif">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{SOFT}"/></marker></defs>',
        ]

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle with an edge."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" '
            f'fill="{PALE[colour]}" stroke="{LINE if colour == GREY else colour}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: int = 14,
        colour: str = INK,
        anchor: str = "middle",
    ) -> None:
        """A line of text around (x, y)."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(self, points: list[tuple[float, float]], colour: str = SOFT, more: str = "") -> None:
        """A line through points; ``more`` has further attributes."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" {more}/>'
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A straight arrow."""
        self.line([(x, y), (to_x, to_y)], SOFT, 'marker-end="url(#tip)"')

    def svg(self) -> str:
        """The file."""
        return "\n".join([*self.parts, "</svg>", ""])


def flow() -> str:
    """From teacher and examples to a file and its score."""
    made = Picture(720, 190, "From a teacher to a scored file")
    steps = (
        (20, "teacher", "fine-tuned encoder", BLUE),
        (200, "rounds", "compress, distil, repeat", ORANGE),
        (380, "file", "packed, no code in it", GREEN),
        (560, "report", "read back, then scored", GREY),
    )
    for x, name, what, colour in steps:
        made.box(x, 40, 140, 62, colour)
        made.text(x + 70, 66, name, 16)
        made.text(x + 70, 88, what, 11, SOFT)
        if x > 20:
            made.arrow(x - 38, 71, x - 4, 71)
    made.box(200, 138, 140, 34, GREY)
    made.text(270, 160, "training examples", 12)
    made.arrow(270, 137, 270, 105)
    made.line([(90, 102), (90, 122), (240, 122)], SOFT)
    made.arrow(240, 122, 240, 105)
    made.text(160, 117, "outputs to learn from", 11, SOFT)
    made.box(560, 138, 140, 34, GREY)
    made.text(630, 160, "dev, scored once", 12)
    made.arrow(630, 137, 630, 105)
    return made.svg()


def factors() -> str:
    """A matrix, its factors of lower rank, and the entries of them that are pruned."""
    made = Picture(720, 210, "A matrix as a product of two pruned factors")
    made.box(30, 50, 150, 120, BLUE)
    made.text(105, 115, "W", 22)
    made.text(105, 190, "m x n", 12, SOFT)
    made.text(205, 116, "≈", 22)
    made.text(205, 190, "SVD", 12, SOFT)
    made.box(235, 50, 50, 120, ORANGE)
    made.text(260, 115, "A", 20)
    made.text(260, 190, "m x r", 12, SOFT)
    made.box(300, 50, 150, 50, ORANGE)
    made.text(375, 81, "Bᵀ", 20)
    made.text(375, 120, "r x n", 12, SOFT)
    made.text(475, 116, "→", 22)
    made.text(475, 190, "prune", 12, SOFT)
    pruned_box(made, 505, 50, 4, 10, 1)
    pruned_box(made, 570, 50, 10, 4, 2)
    made.text(530, 190, "M_A ∘ A", 12, SOFT)
    made.text(630, 120, "(M_B ∘ B)ᵀ", 12, SOFT)
    made.text(105, 30, "dense", 13)
    made.text(340, 30, "lower rank: fewer numbers, less time", 13)
    made.text(600, 30, "masks: fewer bytes", 13)
    return made.svg()


def pruned_box(made: Picture, x: float, y: float, columns: int, rows: int, seed: int) -> None:
    """A grid of entries, of which about half are empty, always the same ones."""
    size = 12
    for row in range(rows):
        for column in range(columns):
            seed = (seed * 48271) % 2147483647  # a fixed pattern on every machine
            colour = ORANGE if seed % 100 < 45 else GREY
            made.box(x + column * size, y + row * size, size - 2, size - 2, colour)


def rounds() -> str:
    """What remains of a matrix at each step, by shape of the schedule."""
    made = Picture(720, 330, "Remaining fraction during training at a target of 7.5")
    total, count, final = 1000, 8, 1 / 7.5
    left, top, width, height = 70.0, 30.0, 610.0, 230.0

    def at(step: float, fraction: float) -> tuple[float, float]:
        return left + width * step / total, top + height * (1 - fraction)

    for fraction in (0.0, 0.25, 0.5, 0.75, 1.0):
        made.line([at(0, fraction), at(total, fraction)], "#e4e7eb")
        made.text(left - 10, at(0, fraction)[1] + 4, f"{fraction:.0%}", 11, SOFT, "end")
    for step in range(0, total + 1, 250):
        made.text(at(step, 0)[0], top + height + 20, f"{step / total:.0%}", 11, SOFT)
    made.text(left + width / 2, top + height + 42, "share of the training that is done", 12, SOFT)
    steps = [*round_steps(total, 0.5, rounds=count, every=None), total]
    for number, (shape, colour) in enumerate(zip(SHAPES, (BLUE, ORANGE, GREEN), strict=True)):
        points = []
        for place, t in enumerate(progress(count, "compressed")):
            kept = kept_fraction(shape, final, t)
            points += [at(steps[place], kept), at(steps[place + 1], kept)]
        made.line(points, colour)
        x = left + 190 + 130 * number
        made.line([(x, top + 310 - 20), (x + 24, top + 310 - 20)], colour)
        made.text(x + 30, top + 294, shape, 12, INK, "start")
    made.line([at(500, 0), at(500, 1)], LINE, 'stroke-dasharray="4 4"')
    made.text(at(750, 0)[0], top + 16, "recovery: nothing more is cut", 12, SOFT)
    return made.svg()


def packed() -> str:
    """The bytes of model.safetensors and of one packed tensor in it."""
    made = Picture(720, 300, "The bytes of a file and of one packed tensor")
    made.text(20, 28, "model.safetensors", 14, INK, "start")
    file = (("8", "length", 70, GREY),
            ("JSON header", "names, offsets, digest of config.json", 230, BLUE),
            ("tensor", "", 90, ORANGE), ("tensor", "", 90, ORANGE), ("...", "", 60, GREY),
            ("tensor", "", 90, ORANGE))  # fmt: skip
    x = 20.0
    for name, what, width, colour in file:
        made.box(x, 40, width, 50, colour)
        made.text(x + width / 2, 62 if what else 70, name, 13)
        made.text(x + width / 2, 80, what, 10, SOFT)
        x += width + 6
    made.line([(332, 90), (20, 150)], LINE, 'stroke-dasharray="4 4"')
    made.line([(422, 90), (700, 150)], LINE, 'stroke-dasharray="4 4"')
    made.text(20, 116, "one packed tensor", 14, INK, "start")
    tensor = (("checksum", "8 bytes", "0", 80, BLUE), ("what it is", "8 bytes", "8", 90, BLUE),
              ("sizes", "56 bytes", "16", 130, BLUE), ("positions", "zstd", "72", 120, ORANGE),
              ("scales", "zstd", "", 100, ORANGE), ("values", "zstd", "", 136, ORANGE))  # fmt: skip
    x = 20.0
    for name, size, offset, width, colour in tensor:
        made.box(x, 150, width, 50, colour)
        made.text(x + width / 2, 172, name, 13)
        made.text(x + width / 2, 190, size, 10, SOFT)
        if offset:
            made.text(x + 2, 216, offset, 10, SOFT, "start")
        x += width + 4.8
    notes = ("positions: which entries are stored; a bitmask, or gaps, or nothing if all are",
             "scales: fp16, one for each rank component, or one for a group of values",
             "values: of the stored entries alone, in the order of the positions")  # fmt: skip
    for number, note in enumerate(notes):
        made.text(20, 242 + 18 * number, note, 12, SOFT, "start")
    return made.svg()


PICTURES: dict[str, Callable[[], str]] = {
    "flow": flow,
    "factors": factors,
    "rounds": rounds,
    "packed": packed,
}


def main() -> None:
    """Write all of them."""
    OUT.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (OUT / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
