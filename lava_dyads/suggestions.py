"""What somebody may have meant who wrote a name that there is not.

In this order: other words for the same thing, initials, names that have all its words or begin
as it does, and misspelt ones. Where nothing is near nothing is guessed: then all names are said.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

OTHER_WORDS = {
    "dp": "dual-propagation dualprop dual-prop",
    "dp-transpose": "dual-propagation dualprop dp-top dpt adjoint",
    "backprop": "backpropagation bp back-propagation gradient-descent",
    "predictive-coding": "predictive",
    "lrrn": "lifted lifted-network lpom fenchel",
    "spiking": "snn spikes spike lif if",
    "squared-error": "mse l2 squared mean-squared-error quadratic",
    "cross-entropy": "ce crossentropy softmax nll log-loss log-likelihood",
    "hard-sigmoid": "sigmoid logistic",
    "relu": "rectifier rectified-linear relu6",
    "linear": "identity none",
    "sgd": "gradient-descent gd plain",
    "adam": "adamw amsgrad",
    "tied": "transpose symmetric",
    "random": "feedback-alignment fa",
    "mnist": "mnist-784 mnist_784",
    "fashion-mnist": "fashion fmnist fashion_mnist",
    "digits": "sklearn-digits optdigits",
    "eval": "evaluate evaluation test score measure",
    "predict": "prediction infer inference apply classify",
    "train": "run fit learn training start",
    "info": "show list status about describe rules version",
    "deploy": "export compile place convert loihi",
    "data list": "data datasets dataset",
    "data get": "download fetch install",
    "data verify": "validate checksum",
    "reproduce": "figure figures paper papers",
    "check equivalence": "compare equivalence",
    "check gradient": "grad gradient gradcheck",
    "check spiking": "spikes brian2 brian",
    "bench training": "benchmark speed race bench",
    "--learning-rate": "--lr --eta --step-size --learn-rate",
    "--layers": "--hidden --hidden-layers --sizes --units --neurons --all-layers",
    "--all-layers": "--layers --sizes",
    "--epochs": "--epoch --n-epochs --num-epochs --iterations",
    "--batch-size": "--batch --bs --minibatch",
    "--proba": "--probabilities --probability --predict-proba",
    "--out": "--output --output-dir --dir --folder --save",
    "--optimiser": "--optimizer --opt",
    "--samples": "--n --n-samples",
    "--runtime": "--backend --engine --device",
    "--dataset": "--data",
    "--no-save": "--dry-run --nosave",
    "--overwrite": "--force",
    "--resume": "--continue --restart",
    "--json": "--output-json --format",
    "--weight-decay": "--wd --l2",
    "--export": "--output --out",
    "--test-share": "--test-size --validation-split",
    "--dtype": "--float-type --type",
}
"""Words for what there is under another name, separated by spaces."""

_LONGEST = 100
"""Letters of a name that are looked at."""


def nearest(name: object, known: Iterable[str]) -> str:
    """Return the known names that may have been meant, or else all, for the 'Try' of a message.

    Examples
    --------
    >>> nearest("rleu", ["relu", "tanh"])
    'relu'
    >>> nearest("elephant", ["relu", "tanh"])
    'relu, tanh'
    """
    names = sorted(known)
    return " or ".join(near(name, names)) or ", ".join(names)


def near(name: object, known: Iterable[str]) -> list[str]:
    """Return at most three known names that may have been meant, the likeliest first.

    Examples
    --------
    >>> near("ar", ["activation-relaxation", "backprop"])
    ['activation-relaxation']
    """
    text = _plain(name[:_LONGEST]) if isinstance(name, str) else ""
    if not text:
        return []
    names = {known_name: _plain(known_name) for known_name in sorted(known)}
    same = [n for n, plain in names.items() if plain == text]
    meant = [n for n in names if text in map(_plain, OTHER_WORDS.get(n, "").split())]
    initials = [n for n in names if len(_words(n)) > 1 and "".join(w[0] for w in _words(n)) == text]
    if same or meant or initials:
        return [*dict.fromkeys([*same, *meant, *initials])][:3]
    words = set(_words(text))
    parts = [n for n, plain in names.items() if len(text) > 2 and (
        words <= set(_words(plain)) or plain.startswith(text)
        or (len(plain) > 2 and text.startswith(f"{plain}-"))
    )]  # fmt: skip
    back = {plain: n for n, plain in names.items()}
    cutoff = 0.65 if len(text) > 2 else 0.5  # of two letters one may be wrong
    misspelt = [back[p] for p in difflib.get_close_matches(text, back, n=3, cutoff=cutoff)]
    return [*dict.fromkeys([*misspelt[:1], *parts, *misspelt])][:3]


def _plain(name: str) -> str:
    """Return a name in the way the names here are written."""
    return re.sub(r"[\s_]+", "-", name.strip().lower()).lstrip("-")


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", _plain(name)) if word]
