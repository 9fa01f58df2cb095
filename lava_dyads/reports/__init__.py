"""The page of a run: what was run, how it went, what it cost, where it errs."""

from lava_dyads.reports.page import report

__all__ = ["report"]
