"""The one exception for mistakes a user can mend."""

import difflib


class LadaError(Exception):
    """Something the user can mend, said in one line: what is wrong, the value, what would do.

    Several mistakes have a line each. Entry points print the lines alone, without a traceback, and
    exit with code 2.

    Args:
        lines: one for each mistake.
    """

    def __init__(self, *lines: str):
        super().__init__(*lines)

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


def did_you_mean(name: str, names: list[str]) -> str:
    """``; did you mean NEAREST?``, or nothing where no name is near."""
    found = difflib.get_close_matches(name, names, 1, 0.4)
    # A key without its group, or under the wrong one, is often meant: compare last parts too.
    if not found or "." not in name:
        tails = [n for n in names if n.rpartition(".")[2] == name.rpartition(".")[2]]
        found = tails[:1] or found
    return f"; did you mean {found[0]}?" if found else ""
