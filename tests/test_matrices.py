"""The page of models and tasks is that of the tables."""

from helpers import ROOT

from lada.config.matrices import page
from lada.heads.kinds import KINDS
from lada.nn.families import FAMILIES


def test_the_page_is_made_from_the_tables() -> None:
    assert (ROOT / "docs/models_and_tasks.md").read_text(encoding="utf-8") == page()


def test_it_names_everything() -> None:
    text = page()
    for name in (*KINDS, *FAMILIES):
        assert f"`{name}`" in text or f" {name} " in text
