"""Figures of the papers, one file each: a new file in this folder is a new figure."""

from importlib import import_module
from pkgutil import iter_modules

from lava_dyads.experiments.papers.base import STUDIES, Finding, Study, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["STUDIES", "Finding", "Study", "register"]
