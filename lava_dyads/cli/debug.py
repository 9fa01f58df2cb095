"""``lava-dyads debug``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from lava_dyads.choices import TracePlace
from lava_dyads.cli.common import OK, console, print_json


@dataclass(frozen=True, kw_only=True)
class Debug:
    """Write the page of a trace, one file of HTML: messages in flight, a time slider, histories."""

    path: Positional[Annotated[Path, arg(metavar="TRACE")]]
    """File (.npz) of train --trace, or of a session with trace=; written after an error, too."""
    out: Path | None = None
    """File to write; default: beside the trace, with the suffix .html."""
    at: TracePlace = "start"
    """Where it opens: start; end, the last message; nan, the first that is no finite number."""
    json: bool = False
    """Print one JSON object instead of the name of the file."""

    def run(self) -> int:
        """Write it; return the exit code."""
        from lava_dyads.reports.messages import message_page

        made = message_page(self.path, self.out, at=self.at)
        if self.json:
            print_json({"trace": str(self.path), "page": str(made)})
        else:
            console().print(str(made))
        return OK
