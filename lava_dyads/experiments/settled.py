"""Whether an asynchronous run had settled and learned what it should have, from its ledger.

It shares no code with what ran: numpy, and the equations once more. What is checked of every
presentation: the chain of hashes; as many messages arrived as were sent; at every port the sum of
what its sources said last; every compartment, s+- = f(a +- g+- u); that nobody kept a change back
that exceeds the threshold; the nudge, -beta l'(output). And that the weights went where the
gradient -(1 / beta N) sum(difference mean) and the optimiser lead, update by update.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lava_dyads.array_types import AnyArray
from lava_dyads.errors import DataError
from lava_dyads.files import AnyPath, opened_arrays

TOLERANCE = 1e-9
"""Of a number, relative to the largest of its register; rounding is some 1e-13."""

_ACTIVATIONS: dict[str, Callable[[AnyArray], AnyArray]] = {
    "relu": lambda a: np.maximum(a, 0),
    "hard-sigmoid": lambda a: np.clip(a, 0, 1),
    "tanh": np.tanh,
    "linear": lambda a: a,
}


def _softmax(a: AnyArray) -> AnyArray:
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


_ERRORS: dict[str, Any] = {
    "squared-error": lambda a, y, _: a - y,
    "cross-entropy": lambda a, y, _: _softmax(a) - y,
    "binary-cross-entropy": lambda a, y, _: 1 / (1 + np.exp(-a)) - y,
    "huber": lambda a, y, delta: np.clip(a - y, -delta, delta),
}


def verifier(path: AnyPath) -> Verifier:
    """Return the verifier of a file.

    Raises
    ------
    DataError
        If it is missing or no ledger.
    """
    try:
        with opened_arrays(path) as file:
            names = [name for name in file.names if name != "header"]
            return Verifier(str(file["header"]), {name: file[name] for name in names})
    except (OSError, ValueError, KeyError) as error:
        hint = "Try: one that train --clock async --ledger FILE wrote"
        raise DataError(f"ledger {path}: not a readable ledger ({error}). {hint}") from error


class Verifier:
    """Goes through a ledger; see the module.

    Parameters
    ----------
    header : str
    arrays : mapping of str to array
    """

    def __init__(self, header: str, arrays: Mapping[str, AnyArray]) -> None:
        self._header, self._arrays = header, arrays
        about = json.loads(header)
        self._elements, self._sources = about["elements"], about["sources"]
        self._counted = about["coding"] == "change"
        self._now = {n[6:]: a.copy() for n, a in arrays.items() if n.startswith("start/")}
        self.presentations = len(arrays["clock"])
        self._waiting = 0

    def faults(self) -> Iterator[str]:
        """Yield what is wrong, one line each."""
        try:
            yield from self._faults()
        except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
            yield f"the ledger is incomplete, or not what it says ({type(error).__name__}: {error})"

    def _faults(self) -> Iterator[str]:
        yield from self._hashes()
        for p in range(self.presentations):
            valid, mode, batch = self._arrays["clock"][p].tolist()
            sent, arrived = self._arrays["messages"][p].T
            if self._counted and np.any(sent != arrived):
                yield f"presentation {p}: {sent[-1]} messages sent, {arrived[-1]} arrived"
            yield from self._ports(p, valid)
            for name, element in self._elements.items():
                yield from getattr(self, f"_{element['kind']}")(p, valid, mode, name, element)
            if mode == 1:
                yield from self._learn(p, valid, batch)
        for name, value in self._now.items():
            yield from self._compare("at the end", name, self._arrays[f"end/{name}"], value)

    def _hashes(self) -> Iterator[str]:
        names = sorted(set(self._arrays) - {"hash"})
        rows = [n for n in names if not n.startswith(("start/", "end/", "index/"))]
        first = [n for n in names if n.startswith(("start/", "index/"))]
        parts = [self._header.encode() + b"".join(self._arrays[n].tobytes() for n in first)]
        for p in range(self.presentations):
            parts.append(b"".join(self._arrays[n][p].tobytes() for n in rows))
        parts.append(b"".join(self._arrays[n].tobytes() for n in names if n.startswith("end/")))
        chain = b""
        for i, part in enumerate(parts):
            chain = hashlib.sha256(chain + part).digest()
            if chain != self._arrays["hash"][i].tobytes():
                yield f"hash {i} of {len(parts)} does not fit: the ledger has been changed"
                return

    def _compare(
        self, when: object, what: str, found: AnyArray, due: AnyArray, slack: float = 0.0
    ) -> Iterator[str]:
        scale = max(1.0, float(np.abs(due).max(initial=0.0)))
        wrong = ~(np.abs(found - due) <= slack + TOLERANCE * scale)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            place = f"presentation {when}" if isinstance(when, int) else str(when)
            yield f"{place}: {what}{list(at)} is {found[at]:g}, should be {due[at]:g}"

    def _kept(self, p: int, valid: int, name: str, register: str) -> AnyArray:
        return self._arrays[f"kept/{name}/{register}"][p, :valid]

    def _weights(self, name: str, register: str) -> AnyArray:
        index = self._arrays[f"index/{name}"]
        if not self._elements[name]["op"]:
            return index
        flat = self._now[f"{name}/{register}"].ravel()
        return np.where(index >= 0, flat[index], 0.0)

    def _said(self, p: int, valid: int, name: str, port: str) -> AnyArray:
        if name not in self._elements:
            return self._arrays[port.removesuffix("_in")][p, :valid]
        if port == "basal_out":
            return self._kept(p, valid, name, "held_mean") @ self._weights(name, "weights").T
        if port == "apical_out":
            separate = f"{name}/feedback" in self._now
            through = self._weights(name, "feedback" if separate else "weights")
            return self._kept(p, valid, name, "held_difference") @ through
        return self._kept(p, valid, name, f"sent_{port.removesuffix('_out')}")

    def _ports(self, p: int, valid: int) -> Iterator[str]:
        held = {
            "mean_in": "held_mean",
            "difference_in": "held_difference",
            "target_in": "held_target",
            "basal_in": "basal",
            "apical_in": "apical",
        }
        for target, port, sources in self._sources:
            if target not in self._elements:
                continue
            head = self._elements[target]["kind"] == "head" and port == "mean_in"
            register = "held_output" if head else held[port]
            due = sum(self._said(p, valid, name, out) for name, out in sources)
            found = self._kept(p, valid, target, register)
            yield from self._compare(p, f"{target}.{register}", found, np.asarray(due))

    def _population(self, p: int, valid: int, mode: int, name: str, about: Any) -> Iterator[str]:
        f, alpha = _ACTIVATIONS[about["activation"]], about["alpha"]
        bias = self._now[f"{name}/bias"]
        a = self._kept(p, valid, name, "basal")
        a = a + bias.repeat(a.shape[-1] // len(bias))
        u = self._kept(p, valid, name, "apical") if mode else np.zeros_like(a)
        plus, minus = (1 - alpha, alpha) if about["adjoint"] else (alpha, 1 - alpha)
        s = {"s_plus": f(a + plus * u), "s_minus": f(a - minus * u)}
        for register, due in s.items():
            found = self._kept(p, valid, name, register)
            yield from self._compare(p, f"{name}.{register}", found, due)
        mean = alpha * s["s_plus"] + (1 - alpha) * s["s_minus"]
        for channel, due in (("mean", mean), ("difference", s["s_plus"] - s["s_minus"])):
            found = self._kept(p, valid, name, f"sent_{channel}")
            slack = about["thresholds"][channel]
            yield from self._compare(p, f"{name}.sent_{channel}", found, due, slack)

    def _head(self, p: int, valid: int, mode: int, name: str, about: Any) -> Iterator[str]:
        output, target = (self._kept(p, valid, name, f"held_{n}") for n in ("output", "target"))
        loss, _, option = about["loss"].partition(":")
        due = -about["beta"] * _ERRORS[loss](output, target, float(option or 1)) * bool(mode)
        found = self._kept(p, valid, name, "sent_drive")
        yield from self._compare(p, f"{name}.sent_drive", found, due, about["threshold"])

    def _connection(self, *_: Any) -> Iterator[str]:
        yield from ()  # it answers nothing of its own: what leaves it is checked where it arrives

    def _learn(self, p: int, valid: int, batch: int) -> Iterator[str]:
        self._waiting += valid
        if batch and batch != self._waiting:
            yield f"presentation {p}: learnt from {batch} samples, shown were {self._waiting}"
        self._waiting = 0 if batch else self._waiting
        for name, about in self._elements.items():
            for learner in about.get("learners", ()):
                if learner["optimiser"] is None:
                    continue
                key = f"{name}/{learner['register']}"
                summed = self._now[f"{key}_accumulator"]
                summed += self._product(p, valid, name, about, summed.shape)
                if batch:
                    self._step(key, learner, summed / (-about["beta"] * batch))
                    summed.fill(0)

    def _product(
        self, p: int, valid: int, name: str, about: Any, shape: tuple[int, ...]
    ) -> AnyArray:
        if about["kind"] == "population":
            errors = self._kept(p, valid, name, "sent_difference").sum(axis=0)
            return np.asarray(errors.reshape(shape[0], -1).sum(axis=1))
        down, up = (self._kept(p, valid, name, f"held_{c}") for c in ("difference", "mean"))
        outer = down.T @ up
        index, made = self._arrays[f"index/{name}"], np.zeros(shape)
        np.add.at(made.reshape(-1), index[index >= 0], outer[index >= 0])
        return made

    def _step(self, key: str, learner: Any, gradient: AnyArray) -> None:
        o, value, state = learner["optimiser"], self._now[key], self._now[f"{key}_state"]
        self._now[f"{key}_updates"] += 1
        t = int(self._now[f"{key}_updates"].flat[0])
        rate = o["learning_rate"]
        if o["horizon"]:
            rate *= max(0.0, 1 - (t - 1) / o["horizon"])
        if learner["decays"]:
            value *= 1 - rate * o["weight_decay"] - o["decay"]
        if o["name"] == "sgd":
            value -= rate * gradient
        elif o["name"] == "momentum":
            state[0] = o["momentum"] * state[0] + gradient
            value -= rate * state[0]
        else:
            b1, b2 = o["beta_1"], o["beta_2"]
            state[0] = b1 * state[0] + (1 - b1) * gradient
            state[1] = b2 * state[1] + (1 - b2) * gradient**2
            root = np.sqrt(state[1] / (1 - b2**t)) + o["epsilon"]
            value -= rate * state[0] / (1 - b1**t) / root
