"""Charts as inline SVG: scales, axes, marks that differ by shape, and labels beside them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lada.report.page.markup import Markup, cut, join, tag

WIDTH, HEIGHT = 380, 250
"""Of a chart, in pixels of a phone; wider places enlarge it."""
LEFT, TOP, BOTTOM = 46, 22, 40
LETTER = 5.6
"""Mean width of a letter of a label."""
SHAPES = ("circle", "square", "diamond", "triangle", "cross")

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low, high: the values at its ends.
        start, end: the pixels of these.
        log: whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, 1e-300))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within its range."""
        return _log_ticks(self.low, self.high, most) if self.log else _ticks(self, most)


def _ticks(scale: Scale, most: int) -> list[float]:
    span = scale.high - scale.low
    if not span > 0:
        return [scale.low]
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    count = math.floor(scale.high / step + 1e-9) - first
    return [(first + n) * step for n in range(count + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**p for p in powers for f in factors]
        inside = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def number(value: float) -> str:
    """A value at a tick: 0.05, 12, 3k, 2M.

    Example:
        >>> number(1500), number(0.25), number(2e6)
        ('1.5k', '0.25', '2M')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def spread(values: Sequence[float], log: bool = False) -> tuple[float, float]:
    """The range of an axis that has these values, with some room at both ends."""
    low, high = min(values), max(values)
    if log:
        room = max(1.15, (high / low) ** 0.08)
        return low / room, high * room
    room = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
    return low - room, high + room


@dataclass(frozen=True)
class Frame:
    """A chart's two scales and what is written at its axes.

    Attributes:
        title: of the chart, which the page shows above it.
        told: what it shows, in a sentence, for those who do not see it.
        x_title, y_title: with units.
    """

    x: Scale
    y: Scale
    title: str
    told: str
    x_title: str
    y_title: str


def frame(
    title: str,
    told: str,
    x: tuple[float, float],
    y: tuple[float, float],
    x_title: str,
    y_title: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    right: float = 16,
) -> Frame:
    """A frame for these ranges; ``right``: pixels for labels at the right."""
    return Frame(
        Scale(*x, LEFT, WIDTH - right, log_x),
        Scale(*y, HEIGHT - BOTTOM, TOP, log_y),
        title,
        told,
        x_title,
        y_title,
    )


def chart(of: Frame, *marks: Markup) -> Markup:
    """A figure: the title, and the marks over the axes."""
    x, y = of.x, of.y
    bottom, left, right = y.start, x.start, x.end
    lines = [
        *(
            join(
                _line(left, y(v), right, y(v), "grid"),
                tag("text", number(v), x=left - 6, y=y(v) + 3.5, class_="tick end"),
            )
            for v in y.ticks(5)
        ),
        *(
            join(
                _line(x(v), bottom, x(v), bottom + 4, "axis"),
                tag("text", number(v), x=x(v), y=bottom + 15, class_="tick mid"),
            )
            for v in x.ticks(5)
        ),
        _line(left, bottom, right, bottom, "axis"),
        tag("text", of.x_title, x=(left + right) / 2, y=HEIGHT - 6, class_="name mid"),
        tag("text", of.y_title, x=4, y=10, class_="name"),
    ]
    return figure(of.title, of.told, WIDTH, HEIGHT, *lines, *marks)


def figure(title: str, told: str, width: float, height: float, *content: Markup) -> Markup:
    """A titled drawing; ``told`` is its description for screen readers."""
    svg = tag(
        "svg",
        tag("title", title),
        tag("desc", told),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="group",
        class_="chart",
    )
    return tag("figure", tag("figcaption", title), svg)


def _line(x1: float, y1: float, x2: float, y2: float, looks: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=looks)


def rule_x(of: Frame, value: float, looks: str = "rule") -> Markup:
    """A vertical line over the whole height."""
    return _line(of.x(value), of.y.start, of.x(value), of.y.end, looks)


def rule_y(of: Frame, value: float, looks: str = "rule") -> Markup:
    """A horizontal line over the whole width."""
    return _line(of.x.start, of.y(value), of.x.end, of.y(value), looks)


def path(of: Frame, points: Sequence[Point], looks: str) -> Markup:
    """A line through points (x, y) in values."""
    found = [f"{of.x(x):.1f} {of.y(y):.1f}" for x, y in points]
    return tag("path", d=f"M{'L'.join(found)}", class_=f"line {looks}") if found else Markup("")


def steps(points: Sequence[Point]) -> list[Point]:
    """Corners of the stairs that go right and then up, through points by rising x."""
    out: list[Point] = []
    for point in points:
        if out:
            out.append((point[0], out[-1][1]))
        out.append(point)
    return out


def mark(of: Frame, at: Point, looks: int, tip: str, size: float = 4.5) -> Markup:
    """A mark with a tooltip; ``looks``: the number of its colour and shape, -1: a grey dot."""
    return shape(of.x(at[0]), of.y(at[1]), looks, tip, size)


def shape(x: float, y: float, looks: int, tip: str, size: float = 4.5) -> Markup:
    """A mark at a pixel."""
    title = tag("title", cut(tip))
    if looks < 0:
        return tag("circle", title, cx=x, cy=y, r=size, class_="m soft-mark")
    kind = SHAPES[looks % len(SHAPES)]
    css = f"m c{looks % len(SHAPES)}"
    if kind == "circle":
        return tag("circle", title, cx=x, cy=y, r=size, class_=css)
    s = size * 1.15
    corners = {
        "square": f"M{x - size:.1f} {y - size:.1f}h{2 * size}v{2 * size}h{-2 * size}z",
        "diamond": f"M{x:.1f} {y - 1.25 * s:.1f}l{s:.1f} {1.25 * s:.1f}l{-s:.1f} {1.25 * s:.1f}"
        f"l{-s:.1f} {-1.25 * s:.1f}z",
        "triangle": f"M{x:.1f} {y - s:.1f}l{s:.1f} {1.9 * s:.1f}h{-2 * s:.1f}z",
        "cross": f"M{x - s:.1f} {y - s:.1f}l{2 * s:.1f} {2 * s:.1f}m0 {-2 * s:.1f}"
        f"l{-2 * s:.1f} {2 * s:.1f}",
    }
    return tag("path", title, d=corners[kind], class_=f"{css} x" if kind == "cross" else css)


def write(x: float, y: float, text: str, looks: str = "") -> Markup:
    """A text at a pixel."""
    return tag("text", cut(text, 60), x=x, y=y, class_=f"label {looks}".strip())


def ends(of: Frame, labels: Sequence[tuple[float, str, str]], room: int = 18) -> Markup:
    """Labels at the right end of lines, moved apart where they would touch.

    Args:
        labels: value of y, text, classes.
        room: most letters of a label.
    """
    low, high = of.y.end + 4, of.y.start
    order = sorted((of.y(value), text, looks) for value, text, looks in labels)
    heights: list[float] = []
    for place, _, _ in order:
        heights.append(max(place, low, heights[-1] + 11 if heights else low))
    for n in range(len(heights) - 1, -1, -1):
        limit = high if n == len(heights) - 1 else heights[n + 1] - 11
        heights[n] = min(heights[n], limit)
    return join(
        write(of.x.end + 8, height + 3.5, cut(text, room), looks)
        for height, (_, text, looks) in zip(heights, order, strict=True)
    )


def beside(
    of: Frame, labels: Sequence[tuple[Point, str, str]], others: Sequence[Point] = ()
) -> Markup:
    """Labels near their points, each where it covers no other; none where there is no place.

    Args:
        labels: (x, y) in values, text, classes.
        others: points that have no label, and must not be covered.
    """
    taken = []
    for place in [*others, *(place for place, _, _ in labels)]:
        x, y = of.x(place[0]), of.y(place[1])
        taken.append((x - 6, y - 6, x + 6, y + 6))
    out = []
    for place, text, looks in labels:
        x, y = of.x(place[0]), of.y(place[1])
        text = cut(text, 34)
        wide = LETTER * len(text)
        for dx, dy in ((10, -6), (10, 3.5), (-10 - wide, 3.5), (-wide / 2, -11), (-wide / 2, 18)):
            box = (x + dx, y + dy - 9, x + dx + wide, y + dy + 2)
            inside = of.x.start < box[0] and box[2] < WIDTH and of.y.end - 12 < box[1]
            if inside and box[3] < of.y.start and not any(_touch(box, other) for other in taken):
                taken.append(box)
                out.append(write(x + dx, y + dy, text, looks))
                break
    return join(out)


def _touch(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
