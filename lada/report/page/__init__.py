"""report.html: a run, or a sweep, as one file that needs no network.

One section, one file: a pure function from what a run has recorded to markup, or None where there
is nothing to show.
"""

from lada.report.page.pages import REPORT, write_page, write_run_page, write_sweep_page

__all__ = ["REPORT", "write_page", "write_run_page", "write_sweep_page"]
