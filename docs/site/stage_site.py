"""The pages as the site needs them: everything that they link to lies beside them.

The pages of ``docs/`` also link to files of the repository: measurements, examples, settings. Those
are copied, and links to them rewritten, so that no link of the site leaves it.
"""

import posixpath
import re
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

TOP = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages beside ``docs/``."""

CODE = re.compile(r"(^```.*?^```\s*$|``[^\n]*?``|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//|#)", re.IGNORECASE)


def stage(root: Path, out: Path) -> None:
    """Write the pages of the repository at ``root``, and what they link to, to ``out``.

    ``docs/`` becomes the top, ``experiments/NAME/README.md`` the page ``experiments/NAME.md``. A
    linked folder becomes a page that lists its files. A link that leads nowhere stays as it is, so
    that the build fails with its line.
    """
    shutil.rmtree(out, ignore_errors=True)
    Stage(root.resolve(), out).run()


class Stage:
    """One staging: which files have been linked to, and where they go."""

    def __init__(self, root: Path, out: Path):
        self.root, self.out = root, out
        self.pages = [
            *(page for page in (root / "docs").rglob("*.md") if "site" not in page.parts),
            *(root / name for name in TOP),
            *root.glob("experiments/*/README.md"),
        ]
        self.linked: set[Path] = set()

    def run(self) -> None:
        """Write pages first, then the files and the lists of folders that they link to."""
        for page in self.pages:
            text = page.read_text(encoding="utf-8")
            place = self.place(page)
            self.write(place, self.rewritten(text, page.parent, place))
        for name in ("site.css", "worker.js"):
            self.copy(self.root / "docs/site" / name, PurePosixPath(name))
        for target in sorted(self.linked):
            if target.is_dir():
                self.write(self.place(target), self.listed(target))
        for target in sorted(self.linked - set(self.pages)):
            if target.is_file():
                self.copy(target, self.place(target))

    def place(self, target: Path) -> PurePosixPath:
        """Where a page, a file or the list of a folder goes, from the top of the site."""
        path = PurePosixPath(target.relative_to(self.root).as_posix())
        if path.as_posix() == "README.md":  # a site takes this name for that of index.md
            return PurePosixPath("overview.md")
        if path.parts[0] == "docs" and target.suffix:
            return PurePosixPath(*path.parts[1:])
        if path.parts[0] == "experiments" and path.name == "README.md":
            return path.parent.with_name(f"{path.parent.name}.md")
        return path if target.is_file() else path / "files.md"

    def rewritten(self, text: str, folder: Path, place: PurePosixPath) -> str:
        """The text with links that hold in the site; code is left as it is."""
        parts = CODE.split(text)
        for number in range(0, len(parts), 2):
            parts[number] = LINK.sub(lambda m: self.link(m, folder, place), parts[number])
        return "".join(parts)

    def link(self, found: re.Match[str], folder: Path, place: PurePosixPath) -> str:
        """One link, rewritten if it leads to a file or a folder of the repository."""
        path, sign, anchor = found[2].partition("#")
        if ELSEWHERE.match(found[2]):
            return found[0]
        target = (folder / unquote(path)).resolve()
        if not target.exists() or not target.is_relative_to(self.root):
            return found[0]
        self.linked.add(target)
        return f"{found[1]}{relative(self.place(target), place)}{sign}{anchor}{found[3]}"

    def listed(self, folder: Path) -> str:
        """A page that links to the files of a folder."""
        place = self.place(folder)
        lines = [f"# {folder.relative_to(self.root).as_posix()}/", ""]
        for file in sorted(folder.rglob("*")):
            hidden = any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)
            if file.is_file() and not hidden:
                self.linked.add(file)
                name = file.relative_to(folder).as_posix()
                lines.append(f"- [`{name}`]({relative(self.place(file), place)})")
        return "\n".join([*lines, ""])

    def write(self, place: PurePosixPath, text: str) -> None:
        """One page."""
        path = self.out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def copy(self, file: Path, place: PurePosixPath) -> None:
        """One file that is no page."""
        path = self.out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, path)


def relative(target: PurePosixPath, page: PurePosixPath) -> str:
    """The link from a page to a target, both from the top of the site.

    Example:
        >>> relative(PurePosixPath("a/b.md"), PurePosixPath("c/d.md"))
        '../a/b.md'
    """
    return posixpath.relpath(target, page.parent)
