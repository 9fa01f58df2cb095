"""What a reproduced figure is: numbers, what they say about the paper, and a drawing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Report = Callable[[str], None]
"""Told what is being measured."""


@dataclass(frozen=True)
class Finding:
    """One claim of the paper beside what was measured.

    Attributes
    ----------
    claim : str
        As the paper, or the theory, has it.
    measured : str
        What came out, in words and figures.
    agrees : bool
    """

    claim: str
    measured: str
    agrees: bool


class Study(ABC):
    """A figure or table of a paper that one command measures again.

    Attributes
    ----------
    name : str
        Name on the command line.
    paper : str
        Authors, year, venue, arXiv number.
    shows : str
        One line.
    size : tuple of float
        Of the drawing, in inches.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    shows: ClassVar[str]
    size: ClassVar[tuple[float, float]] = (9.0, 4.0)

    @abstractmethod
    def measure(self, *, full: bool, seed: int, report: Report) -> dict[str, Any]:
        """Return the numbers, as JSON knows them; everything below is made of them."""

    @abstractmethod
    def findings(self, numbers: dict[str, Any]) -> list[Finding]:
        """Return the findings, those that agree with the paper and those that do not."""

    @abstractmethod
    def rows(self, numbers: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of the table for people."""

    @abstractmethod
    def draw(self, numbers: dict[str, Any], figure: Figure) -> None:
        """Draw the numbers into an empty figure."""

    def result(self, numbers: dict[str, Any], **settings: Any) -> dict[str, Any]:
        """Return everything that is written down: numbers, findings and whether they agree."""
        findings = self.findings(numbers)
        return {
            "figure": self.name,
            "paper": self.paper,
            "shows": self.shows,
            **settings,
            "agrees": all(finding.agrees for finding in findings),
            "findings": [asdict(finding) for finding in findings],
            "numbers": numbers,
        }


STUDIES: dict[str, Study] = {}
"""Every figure by name; each file of this folder enters its own."""


S = TypeVar("S", bound=Study)


def register(study: type[S]) -> type[S]:
    """Enter a figure under its name."""
    if study.name in STUDIES:
        raise AssertionError(f"a figure {study.name} is there already")
    STUDIES[study.name] = study()
    return study
