"""Settings chosen by Optuna from what was measured so far."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lava_dyads.optional import imported
from lava_dyads.studies.space import Range, Search, Setting


class OptunaWay:
    """Asks Optuna's tree-structured Parzen estimator, which is told what settings have reached.

    What was asked for before stands in the study's own record: it is told anew, so that there is
    no second one to fall apart from it.

    Parameters
    ----------
    space : mapping
    search : Search
    before : sequence of pairs of a setting and a number or None
        What earlier calls of the study have asked for, with what it has reached; None: it has
        failed, or is not finished.
    """

    def __init__(
        self,
        space: Mapping[str, list[Any] | Range],
        search: Search,
        before: Sequence[tuple[Setting, float | None]] = (),
    ) -> None:
        self._optuna: Any = imported("optuna", "searches by Optuna", "search")
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        assert search.trials is not None
        # Settings that others are trying count as bad ones meanwhile, so that it asks for others.
        sampler = self._optuna.samplers.TPESampler(
            seed=search.seed + len(before), constant_liar=True
        )
        self._study = self._optuna.create_study(direction="maximize", sampler=sampler)
        self._space, self._left = space, search.trials - len(before)
        self._open: dict[str, Any] = {}
        for setting, value in before:
            self._add(setting, value)

    def ask(self) -> Setting | None:
        """Return the next setting."""
        if self._left <= 0:
            return None
        self._left -= 1
        trial = self._study.ask(self._distributions())
        setting = {
            name: trial.params[name]
            if isinstance(values, Range)
            else values[trial.params[name]]
            for name, values in self._space.items()
        }  # fmt: skip
        self._open[_key(setting)] = trial
        return setting

    def tell(self, setting: Setting, value: float | None) -> None:
        """Tell what a setting has reached."""
        trial = self._open.pop(_key(setting), None)
        if trial is None:
            self._add(setting, value)
        elif value is None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, value)

    def _add(self, setting: Setting, value: float | None) -> None:
        if value is None or setting.keys() != self._space.keys():
            return
        params = {}
        for name, values in self._space.items():
            if not isinstance(values, Range):
                if setting[name] not in values:  # a choice that there is no more
                    return
                params[name] = values.index(setting[name])
            else:
                if not values.low <= setting[name] <= values.high:
                    return
                params[name] = setting[name]
        made = self._optuna.trial.create_trial(
            params=params, distributions=self._distributions(), value=value
        )
        self._study.add_trial(made)

    def _distributions(self) -> dict[str, Any]:
        """Return the space in its words; choices by their numbers, since it takes no lists."""
        kinds = self._optuna.distributions
        made: dict[str, Any] = {}
        for name, values in self._space.items():
            if not isinstance(values, Range):
                made[name] = kinds.CategoricalDistribution(list(range(len(values))))
            elif values.whole:
                made[name] = kinds.IntDistribution(values.low, values.high, log=values.log)
            else:
                low, high = float(values.low), float(values.high)
                made[name] = kinds.FloatDistribution(low, high, log=values.log)
        return made


def _key(setting: Setting) -> str:
    return json.dumps(setting, sort_keys=True, default=str)
