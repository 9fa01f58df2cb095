"""Output nudges: how a target pulls at the output, by name.

With logits a, their free forward value a0 (what they are before anything is nudged), strengths c+
and c- of a rule's two output compartments, and l' the gradient of the loss::

    linearised         s+- = a -+ c l'(mean)        a head looks at the present mean
    linearised-frozen  s+- = a -+ c l'(a0)          the head looks once
    proximal           s+- = prox(a),  prox(a) = a -+ c l'(prox(a))
    proximal-frozen    s+- = a + prox(a0) - a0

A new nudge is one entry; a rule names those it supports (``Rule.nudges``).
"""

from __future__ import annotations

from dataclasses import dataclass

from lava_dyads.errors import invalid, nearest


@dataclass(frozen=True)
class Nudge:
    """One way of pulling at the output.

    Attributes
    ----------
    name : str
        Name in specifications and on the command line.
    head : bool
        Whether a head drives a linear output unit; else the loss is inside the output unit.
    frozen : bool
        Whether it is computed once, at the forward pass, and held.
    """

    name: str
    head: bool
    frozen: bool


LINEARISED = Nudge("linearised", head=True, frozen=False)

NUDGES: dict[str, Nudge] = {
    nudge.name: nudge
    for nudge in (
        LINEARISED,
        Nudge("linearised-frozen", head=True, frozen=True),
        Nudge("proximal", head=False, frozen=False),
        Nudge("proximal-frozen", head=False, frozen=True),
    )
}
"""Every nudge by name."""


def nudge(name: str) -> Nudge:
    """Return the nudge of that name.

    Raises
    ------
    ValidationError
        If there is none; the message suggests the nearest names.
    """
    if name not in NUDGES:
        invalid("nudge", "unknown name", name, nearest(name, NUDGES))
    return NUDGES[name]
