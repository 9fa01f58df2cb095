"""Help in groups: the options of a command as nested dataclasses, which tyro shows in boxes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import field, fields, make_dataclass
from itertools import pairwise
from typing import Annotated, Any, get_type_hints

import tyro

Part = dict[str, Any]


def grouped(cls: Any) -> tuple[type, Callable[[Any], Any], Callable[[Any], Any]]:
    """Return a dataclass of the same options in groups, and the ways there and back.

    A class says by ``groups`` which of its options belong together: titles with the names in them.
    The first class of the bases that names an option has it; what none names comes first.

    Parameters
    ----------
    cls : dataclass
        A command.

    Returns
    -------
    type, callable, callable
        Its options in groups; from a command to them; and from them to a command.
    """
    homes: dict[str, str] = {}
    titles: dict[str, None] = {}
    for base in cls.__mro__:
        for title, names in base.__dict__.get("groups", {}).items():
            titles[title] = None
            for name in names:
                homes.setdefault(name, title)
    hints, texts = get_type_hints(cls, include_extras=True), _texts(cls)
    members: dict[str, list[Any]] = {title: [] for title in ("", *titles)}
    order = list(homes)
    for f in sorted(fields(cls), key=lambda f: order.index(f.name) if f.name in order else -1):
        kind = hints[f.name]
        if f.name in texts:
            kind = Annotated[kind, tyro.conf.arg(help=texts[f.name])]
        default = field(default=f.default, kw_only=True)
        members[homes.get(f.name, "")].append((f.name, kind, default))
    parts = {title: make_dataclass(title, made, frozen=True, namespace={"__doc__": ""})
             for title, made in members.items() if title and made}  # fmt: skip
    nested = [(title, Annotated[part, tyro.conf.arg(help="")], field(kw_only=True, default=part()))
              for title, part in parts.items()]  # fmt: skip
    whole = make_dataclass(cls.__name__, [*members[""], *nested], frozen=True,
                           namespace={"__doc__": cls.__doc__})  # fmt: skip

    def there(command: Any) -> Any:
        def taken(part: Any) -> Part:
            return {f.name: getattr(command, f.name) for f in fields(part) if f.name not in parts}

        return whole(
            **taken(whole), **{title: part(**taken(part)) for title, part in parts.items()}
        )

    def back(options: Any) -> Any:
        given: Part = {}
        for part in (options, *(getattr(options, title) for title in parts)):
            given |= {f.name: getattr(part, f.name) for f in fields(part) if f.name not in parts}
        return cls(**given)

    return whole, there, back


def _texts(cls: type) -> dict[str, str]:
    """Return the texts under the fields of a dataclass and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(base))
        except (OSError, TypeError):  # it was made; then its fields have their texts with them
            continue
        body = ast.parse(source).body[0].body if base is not object else []  # type: ignore[attr-defined]
        for line, following in pairwise(body):
            text = following.value if isinstance(following, ast.Expr) else None
            named = isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            if named and isinstance(text, ast.Constant):
                found[line.target.id] = " ".join(str(text.value).split())
    return found
