"""Is a learning rule local, and what else does it keep? Checks for anybody's rule."""

from __future__ import annotations

import contextlib
import copy
import inspect
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from lava.magma.core.process.process import AbstractProcess

from lava_dyads.array_types import AnyArray
from lava_dyads.checks import checked
from lava_dyads.errors import ConformanceError, invalid, nearest
from lava_dyads.runtime.config import models_beside
from lava_dyads.tables import Tabular
from lava_dyads.testing.hidden import Hidden, hidden_values
from lava_dyads.testing.play import play

PortKind = Literal["pre", "post", "synapse", "broadcast"]
_AXES: dict[str, tuple[str, ...]] = {
    "pre": ("pre",),
    "post": ("post",),
    "synapse": ("post", "pre"),
    "broadcast": (),
}
_STEPS = 4


@dataclass(frozen=True)
class Check:
    """One property of a rule.

    Attributes
    ----------
    name : str
    verdict : str
        ``holds``, ``fails``, or a finding: ``differs`` (a property that a rule need not have).
    detail : str
        What was seen.
    """

    name: str
    verdict: str
    detail: str = ""


@dataclass
class Conformance(Tabular):
    """What the checks have found.

    Attributes
    ----------
    checks : list of Check
    """

    checks: list[Check] = field(default_factory=list)

    def records(self) -> list[dict[str, object]]:
        """Return the checks as rows."""
        return [{"check": c.name, "verdict": c.verdict, "detail": c.detail} for c in self.checks]

    @property
    def failures(self) -> list[Check]:
        """Checks that fail."""
        return [check for check in self.checks if check.verdict == "fails"]

    def __getitem__(self, name: str) -> Check:
        """Return a check by its name."""
        for check in self.checks:
            if check.name == name:
                return check
        names = [check.name for check in self.checks]
        invalid("Conformance", "unknown check", name, nearest(name, names))

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        return "\n".join(f"{c.name:<{width}}  {c.verdict:<7}  {c.detail}" for c in self.checks)

    def assert_holds(self) -> None:
        """Fail where a check does.

        Raises
        ------
        ConformanceError
            Naming them all.
        """
        if self.failures:
            said = "; ".join(f"{check.name}: {check.detail}" for check in self.failures)
            raise ConformanceError(f"the rule fails: {said}")


@checked
def check_rule(
    rule: Any,
    ports: Mapping[str, str],
    *,
    shape: tuple[int, int] = (4, 3),
    expected: Callable[..., Any] | None = None,
    lanes: bool = False,
    bits: int | None = None,
    constants: Iterable[str] = (),
    seed: int = 0,
) -> Conformance:
    """Check a rule that changes weights W by what arrives at its ports.

    A synapse (i, j) may read its own weight and state, what arrives at its presynaptic neuron j,
    at its postsynaptic neuron i and at itself, and what is broadcast by a port that says so; and
    nothing else. The check changes everything else, one value at a time, and looks whether the
    weight hears of it within four updates: other neurons' messages, other synapses, and whatever
    number or array the code of the rule can reach without a port (closures, globals, attributes).

    Parameters
    ----------
    rule : callable, or ProcessRule
        ``rule(n_post, n_pre)`` makes an object with an array ``weights`` of shape (n_post, n_pre),
        which can be set, and a method ``update(**arrivals)``; see :func:`from_function` and
        :class:`ProcessRule`.
    ports : mapping of name to kind
        ``pre`` (n_pre numbers arrive), ``post`` (n_post), ``synapse`` (n_post, n_pre) or
        ``broadcast`` (one number for all).
    shape : (int, int)
        n_post, n_pre; at least 2 each.
    expected : callable or None
        ``expected(weights, **arrivals)`` returns the change that an oracle asks for.
    lanes : bool
        Whether ``update`` takes samples side by side, on a first axis.
    bits : int or None
        Messages and weights are integers of so many bits with sign; None: they are floats.
    constants : iterable of str
        Paths, or ends of them, of values that the code reads and that are no state of a network:
        rates and the like.
    seed : int

    Returns
    -------
    Conformance
        The checks locality, hidden values, determinism, inputs kept, resume; with what is given
        also gradient, lanes, integers; and, as a finding, order.

    Raises
    ------
    ValidationError
        If a kind of port is unknown, or the shape too small.

    Examples
    --------
    >>> def hebb(weights, pre, post):
    ...     return weights + 0.1 * np.outer(post, pre)
    >>> check_rule(from_function(hebb), {"pre": "pre", "post": "post"})["locality"].verdict
    'holds'
    >>> def normalised(weights, pre, post):
    ...     weights = weights + 0.1 * np.outer(post, pre)
    ...     return weights / np.linalg.norm(weights, axis=1, keepdims=True)
    >>> print(check_rule(from_function(normalised), {"pre": "pre", "post": "post"})["locality"].detail)
    weight (0, 1) reads pre[0] of another neuron
    """  # noqa: E501
    for name, kind in ports.items():
        if kind not in _AXES:
            invalid(f"check_rule.ports[{name!r}]", "unknown kind", kind, ", ".join(_AXES))
    if min(shape) < 2:
        invalid("check_rule.shape", "needs at least 2 neurons on each side", shape, "(4, 3)")
    learner = rule if isinstance(rule, ProcessRule) else _ObjectRule(rule)
    trial = _Trial(learner, dict(ports), shape, bits, np.random.default_rng(seed))
    found = Conformance()
    found.checks.append(trial.determinism())
    found.checks.append(trial.locality())
    found.checks.append(trial.hidden(tuple(constants)))
    found.checks.append(trial.inputs_kept())
    if isinstance(learner, _ObjectRule):
        found.checks.append(trial.resume())
    if expected is not None:
        found.checks.append(trial.gradient(expected))
    if lanes:
        found.checks.append(trial.lanes())
    if bits is not None:
        found.checks.append(trial.integers())
    found.checks.append(trial.order())
    return found


def from_function(update: Callable[..., Any]) -> Callable[[int, int], Any]:
    """Return what :func:`check_rule` takes for a function of weights and arrivals without a state.

    Parameters
    ----------
    update : callable
        ``update(weights, **arrivals)`` returns the new weights.
    """

    class Stateless:
        def __init__(self, n_post: int, n_pre: int) -> None:
            self.weights = np.zeros((n_post, n_pre))

        def update(self, **arrivals: Any) -> None:
            self.weights = np.asarray(update(self.weights, **arrivals))

    Stateless.update.__wrapped__ = update  # type: ignore[attr-defined]  # what is looked into
    return Stateless


@dataclass
class ProcessRule:
    """A Process whose weights change by what arrives at its InPorts, one update per time step.

    Parameters
    ----------
    make : callable
        ``make(weights)`` returns a Process.
    inputs : mapping
        From the names of ports in :func:`check_rule` to those of InPorts.
    weights : str
        The Var, of shape (n_post, n_pre).
    run_cfg : RunConfig or None
    """

    make: Callable[[AnyArray], AbstractProcess]
    inputs: Mapping[str, str]
    weights: str = "weights"
    run_cfg: Any = None

    def run(self, weights: AnyArray, arrivals: list[dict[str, AnyArray]]) -> AnyArray:
        """Return the weights after each update."""
        series = {
            port: np.stack([np.atleast_1d(step[name]) for step in arrivals])
            for name, port in self.inputs.items()
        }
        process = self.make(weights.copy())
        played = play(
            process, series, watch=[self.weights], run_cfg=self.run_cfg, runtime="in-process"
        )
        return played.vars[self.weights].reshape(len(arrivals), *weights.shape)

    def functions(self) -> tuple[list[Callable[..., Any]], object]:
        """Return the code that is looked into."""
        models = models_beside(self.make(np.zeros((2, 2))))
        return [f for m in models for f in vars(m).values() if inspect.isfunction(f)], None


@dataclass
class _ObjectRule:
    make: Callable[[int, int], Any]

    def run(self, weights: AnyArray, arrivals: list[dict[str, AnyArray]]) -> AnyArray:
        made = self.make(*weights.shape)
        made.weights = weights.copy()
        rows = []
        for step in arrivals:
            made.update(**{name: value.copy() for name, value in step.items()})
            rows.append(np.array(made.weights))
        return np.stack(rows)

    def functions(self) -> tuple[list[Callable[..., Any]], object]:
        made = self.make(2, 2)
        return [f for _, f in inspect.getmembers(type(made), inspect.isfunction)], made


@dataclass
class _Trial:
    """A rule, and a few updates that are done again and again with one thing changed."""

    learner: Any
    ports: dict[str, str]
    shape: tuple[int, int]
    bits: int | None
    generator: np.random.Generator

    def __post_init__(self) -> None:
        self.weights = self._draw(self.shape)
        self.arrivals = [self._arrive() for _ in range(_STEPS)]
        self.outcome = self._run()

    def _draw(self, shape: tuple[int, ...]) -> AnyArray:
        if self.bits is None:
            return self.generator.normal(size=shape)
        most = 2 ** (self.bits - 1)
        return self.generator.integers(-most // 4, most // 4, shape)

    def _arrive(self, lanes: tuple[int, ...] = ()) -> dict[str, AnyArray]:
        sizes = dict(zip(("post", "pre"), self.shape, strict=True))
        return {
            name: self._draw((*lanes, *(sizes[axis] for axis in _AXES[kind])))
            for name, kind in self.ports.items()
        }

    def _run(self, weights: Any = None, arrivals: Any = None) -> AnyArray:
        weights = self.weights if weights is None else weights
        run: AnyArray = self.learner.run(weights, self.arrivals if arrivals is None else arrivals)
        return run

    def determinism(self) -> Check:
        again = self._run()
        with _other_random_state():
            third = self._run()
        same = _same(again, self.outcome) and _same(third, self.outcome)
        detail = "" if same else "the same messages do not give the same weights twice"
        return Check("determinism", "holds" if same else "fails", detail)

    def locality(self) -> Check:
        for name, kind in self.ports.items():
            for entry in np.ndindex(self.arrivals[0][name].shape) if _AXES[kind] else ():
                own: dict[str, Any] = dict(zip(_AXES[kind], entry, strict=True))
                allowed = own.get("post", slice(None)), own.get("pre", slice(None))
                for value in self._others(self.arrivals[0][name][entry]):
                    arrivals = copy.deepcopy(self.arrivals)
                    arrivals[0][name][entry] = value
                    touched = self._touched(self._run(arrivals=arrivals))
                    touched[allowed] = False
                    if touched.any():
                        index = ", ".join(map(str, entry))
                        what = f"{_first(touched)} reads {name}[{index}] of another neuron"
                        return Check("locality", "fails", f"weight {what}")
        for entry in np.ndindex(self.shape):
            for value in self._others(self.weights[entry]):
                weights = self.weights.copy()
                weights[entry] = value
                touched = self._touched(self._run(weights))
                touched[entry] = False
                if touched.any():
                    what = f"weight {_first(touched)} reads weight {entry}"
                    return Check("locality", "fails", what)
        return Check("locality", "holds")

    def _others(self, value: Any) -> tuple[Any, ...]:
        """Return values near one and far from it: who compares reads only what is far."""
        if self.bits is not None:
            most = 2 ** (self.bits - 1)
            return value + 1 if value < most - 1 else value - 1, most - 1, -most
        return value * 1.5 + 0.25, 100.0, -100.0

    def _touched(self, outcome: AnyArray) -> AnyArray:
        differs = (outcome != self.outcome) & ~(
            (outcome != outcome) & (self.outcome != self.outcome)
        )
        return np.asarray(differs.any(0))

    def hidden(self, constants: tuple[str, ...]) -> Check:
        read = []
        for value in hidden_values(*self.learner.functions()):
            if not value.path.endswith(constants or ("\0",)) and self._influences(value):
                read.append(value.path)
        if not read:
            return Check("hidden values", "holds")
        detail = f"it reads {', '.join(read[:4])}{', ...' if len(read) > 4 else ''}, which no port"
        return Check("hidden values", "fails", f"{detail} brought (constants=... if it is a rate)")

    def _influences(self, value: Hidden) -> bool:
        try:
            with value.changed():
                return bool(self._touched(self._run()).any())
        except Exception:  # another value, another type of it: it is read, whatever it is
            return True

    def inputs_kept(self) -> Check:
        if isinstance(self.learner, ProcessRule):
            return Check("inputs kept", "holds", "messages are copies")
        made = self.learner.make(*self.shape)
        made.weights = self.weights.copy()
        step = copy.deepcopy(self.arrivals[0])
        made.update(**step)
        wrong = [name for name, value in step.items() if not _same(value, self.arrivals[0][name])]
        detail = f"it changes what arrived: {', '.join(wrong)}" if wrong else ""
        return Check("inputs kept", "fails" if wrong else "holds", detail)

    def resume(self) -> Check:
        made = self.learner.make(*self.shape)
        made.weights = self.weights.copy()
        for step in self.arrivals[:2]:
            made.update(**copy.deepcopy(step))
        with contextlib.suppress(Exception):  # a class within a function: copied instead
            made = pickle.loads(pickle.dumps(made))
        made = copy.deepcopy(made)
        for step in self.arrivals[2:]:
            made.update(**copy.deepcopy(step))
        same = _same(np.array(made.weights), self.outcome[-1])
        detail = "" if same else "a copy that goes on ends with other weights"
        return Check("resume", "holds" if same else "fails", detail)

    def gradient(self, expected: Callable[..., Any]) -> Check:
        weights = np.concatenate([self.weights[None], self.outcome[:-1]])
        seen = (self.outcome - weights).astype(float)
        asked = np.stack(
            [
                np.asarray(expected(w.copy(), **copy.deepcopy(step)), float)
                for w, step in zip(weights, self.arrivals, strict=True)
            ]
        )
        error = np.linalg.norm(seen - asked) / max(np.linalg.norm(asked), np.finfo(float).tiny)
        sizes = np.linalg.norm(seen) * np.linalg.norm(asked)
        cosine = float((seen * asked).sum() / sizes) if sizes else 0.0
        scale = float((seen * asked).sum() / max((asked * asked).sum(), np.finfo(float).tiny))
        detail = f"relative error {error:.2g}, cosine {cosine:.6f}, {scale:.4g} times its size"
        # A scale of its own is a learning rate; another direction is another rule.
        return Check("gradient", "holds" if cosine > 1 - 1e-9 else "fails", detail)

    def lanes(self) -> Check:
        count = 3
        batch = self._arrive((count,))
        together = self._run(arrivals=[batch])[0] - self.weights
        alone = [
            self._run(arrivals=[{n: v[k : k + 1] for n, v in batch.items()}])[0] - self.weights
            for k in range(count)
        ]
        total = np.sum(alone, axis=0)
        scale = max(float(abs(total).max()), np.finfo(float).tiny)
        for how, wanted in (("sum", total), ("mean", total / count)):
            if abs(together - wanted).max() <= 1e-9 * scale:
                return Check("lanes", "holds", f"the {how} of the samples' changes")
        return Check("lanes", "fails", "samples side by side change each other's update")

    def integers(self) -> Check:
        most = 2 ** ((self.bits or 1) - 1)
        whole = bool((self.outcome == np.trunc(self.outcome)).all())
        inside = bool(((self.outcome >= -most) & (self.outcome < most)).all())
        detail = "" if whole and inside else f"weights are no integers of {self.bits} bits"
        return Check("integers", "holds" if whole and inside else "fails", detail)

    def order(self) -> Check:
        turned = self._run(arrivals=self.arrivals[::-1])[-1]
        far = float(abs(turned - self.outcome[-1]).max())
        scale = max(float(abs(self.outcome[-1]).max()), np.finfo(float).tiny)
        free = far <= 1e-12 * scale
        detail = "" if free else f"messages in another order end {far:.2g} away"
        return Check("order", "holds" if free else "differs", detail)


def _first(touched: AnyArray) -> tuple[int, ...]:
    return tuple(np.argwhere(touched)[0].tolist())


def _same(a: AnyArray, b: AnyArray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f"))


@contextlib.contextmanager
def _other_random_state() -> Any:
    """Let numpy's global generator stand elsewhere inside the block."""
    state = np.random.get_state()
    np.random.seed(12345)
    try:
        yield
    finally:
        np.random.set_state(state)
