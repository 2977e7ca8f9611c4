"""Singular values of the teacher's matrices, and where their ranks cut them."""

from collections.abc import Sequence

from lada.report.page.load import Run
from lada.report.page.markup import Markup, join, tag
from lada.report.page.matrices import Matrix, matrices_of, place_of
from lada.report.page.svg import chart, ends, frame, mark, path

LEAST = 1e-3
"""The smallest singular value that is drawn, relative to the largest."""
MOST = 9
"""Most charts."""


def spectra(run: Run) -> Markup | None:
    """A chart for each role, a line for each layer; None where no matrix has a rank."""
    by_role: dict[str, list[tuple[str, Matrix]]] = {}
    for m in matrices_of(run):
        if m.get("spectrum"):
            layer, role = place_of(str(m["name"]))
            by_role.setdefault(role, []).append((layer, m))
    if not by_role:
        return None
    kept = [m["energy"] for found in by_role.values() for _, m in found]
    charts = [_chart(role, found) for role, found in list(by_role.items())[:MOST]]
    return join(
        tag(
            "p",
            "Singular values of the teacher's matrices, relative to the largest of each. A mark is "
            "the rank that the artifact has: what is right of it was cut, the dotted part of the "
            f"line. Ranks keep {100 * min(kept):.0f} to {100 * max(kept):.0f} % of the squared "
            "singular values.",
            class_="note wide",
        ),
        tag("div", charts, class_="charts many"),
    )


def _chart(role: str, found: Sequence[tuple[str, Matrix]]) -> Markup:
    full = max(m["spectrum"][-1][0] for _, m in found)
    of = frame(
        role,
        f"Singular values of {len(found)} matrices and the ranks that they are cut at.",
        (0.0, float(full)),
        (LEAST, 1.2),
        "direction",
        "singular value (log scale)",
        log_y=True,
        right=44,
    )
    # The first and the last layer have colours and names, the others lie between them.
    marks, labels = [], []
    for number, (layer, m) in enumerate(found):
        looks = 0 if number == 0 else 1 if number == len(found) - 1 else None
        line = f"c{looks}" if looks is not None else "front thin faint"
        points = [(float(n), max(LEAST, float(value))) for n, value in m["spectrum"]]
        rank = float(m["rank"])
        at = next((y for x, y in points if x >= rank), points[-1][1])
        before = [p for p in points if p[0] <= rank]
        after = [p for p in points if p[0] >= rank]
        marks += [
            path(of, [*before, (rank, at)], line),
            path(of, [(rank, at), *after], f"{line} dots"),
            mark(
                of,
                (rank, at),
                looks if looks is not None else -1,
                f"{role}{f', layer {layer}' if layer else ''}: rank {m['rank']:,} keeps "
                f"{100 * m['energy']:.1f} % of the squared singular values",
                3.6 if looks is not None else 2.2,
            ),
        ]
        if looks is not None and layer:
            labels.append((points[-1][1], f"layer {layer}", f"c{looks}"))
    return chart(of, *marks, ends(of, labels, 8))
