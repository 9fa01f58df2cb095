"""What a checkpoint knows of its training, beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lava_dyads.checks import Natural, Share
from lava_dyads.choices import Task
from lava_dyads.data.dataset import InputRange, SplitSeed, TestShare
from lava_dyads.data.reading import Reading
from lava_dyads.data.schema import ROWS, Schema
from lava_dyads.files import AnyPath
from lava_dyads.training.origin import reading_of, remembered

if TYPE_CHECKING:
    from lava_dyads.training.trainer import Trainer

NAMES = ("class_names", "feature_names", "output_names")
"""Names of a data set that a checkpoint keeps."""

META: dict[str, Any] = {
    "dataset": str,
    "data": Mapping[str, Any],
    "split_seed": SplitSeed,
    "test_share": TestShare,
    "validation_share": Share,
    "precision": str,
    "epochs": Natural,
    "input_range": InputRange,
    "task": Task,
    "target_scaling": Mapping[str, Any],
    "preparation": Mapping[str, Any],
    "schema": Mapping[str, Any],
    **dict.fromkeys(NAMES, tuple[str, ...]),
}
"""Entries and their kinds."""


def described(trainer: Trainer, dataset: AnyPath, folder: AnyPath) -> dict[str, Any]:
    """Return what a checkpoint keeps of a trainer.

    Parameters
    ----------
    trainer : Trainer
    dataset : str or path
        What ``load`` was asked for.
    folder : str or path
        Where the checkpoint will be.
    """
    config, data, taught = trainer.config, trainer.data, trainer.teaching
    meta = {
        **remembered(dataset, trainer.data_checksum, folder, data.reading),
        "split_seed": config.split_seed,
        "test_share": config.test_share,
        "validation_share": config.validation_share,
        "precision": trainer.execution.precision,
        "epochs": len(trainer.history.epochs),
        "input_range": list(data.input_range),
        "task": data.task,
    }
    if taught.preparation.kind != "none" or taught.preparation.fills:
        meta["preparation"] = taught.preparation.as_dict()
    if data.schema != ROWS:
        meta["schema"] = data.schema.as_dict()
    if taught.scaling is not None:
        meta["target_scaling"] = taught.scaling.as_dict()
    for names in NAMES:
        if getattr(data, names):
            meta[names] = list(getattr(data, names))
    return meta


def schema_of(meta: Mapping[str, Any]) -> Schema:
    """Return what rows have to be, and the names of classes."""
    held = meta.get("schema")
    made = ROWS if held is None else Schema.from_dict(held)
    return replace(made, class_names=tuple(meta.get("class_names", ())) or made.class_names)


def split_of(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decided on the parts of the data, as :meth:`Dataset.parts` takes it."""
    shares = {name: meta[name] for name in ("test_share", "validation_share") if name in meta}
    return {"seed": meta.get("split_seed", 0), **shares}


def plain_reading(meta: Mapping[str, Any]) -> Reading:
    """Return how other data are read: like those of the training, but not split in its way."""
    return replace(reading_of(meta), test="", group="", split="")
