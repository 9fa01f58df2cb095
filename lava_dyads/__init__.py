"""Networks whose every neuron is a dyad, on Intel Lava.

The names below are loaded when they are first used: ``import lava_dyads.rules`` and the help
of the command line do not pay for Lava. ``__init__.pyi`` says which they are and where they stand.
"""

from __future__ import annotations

from lava_dyads import lava_compat as lava_compat  # repairs Lava before anything imports it

# The program begins with this file, and Ctrl-C meanwhile is a traceback: it imports no more.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    from lava_dyads.public_names import value_of  # noqa: PLC0415

    value = globals()[name] = value_of(name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
