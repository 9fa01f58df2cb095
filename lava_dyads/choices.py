"""The choices that are closed sets, as types: checkers, editors, checks and help read them here.

What one registers by a name (rules, activations, losses, data sets, ...) is no closed set.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Granularity: TypeAlias = Literal["network", "layer", "neuron"]
Clock: TypeAlias = Literal["sync", "async"]
Precision: TypeAlias = Literal["float", "loihi2"]
Runtime: TypeAlias = Literal["lava", "in-process", "reference"]
Backend: TypeAlias = Literal["numpy", "jax"]
Auto: TypeAlias = Literal["auto"]

DType: TypeAlias = Literal["float64", "float32"]
LogName: TypeAlias = Literal["csv", "tensorboard", "mlflow", "wandb"]
BinEdges: TypeAlias = Literal["time", "count"]
EventValues: TypeAlias = Literal["count", "sign"]
LrSchedule: TypeAlias = Literal["constant", "linear"]
LearnAt: TypeAlias = Literal["end", "frame", "last"]
Readout: TypeAlias = Literal["last", "mean"]

ClassWeight: TypeAlias = Literal["none", "balanced"]
Task: TypeAlias = Literal["classes", "labels", "values"]
ScalingKind: TypeAlias = Literal["none", "standard", "min-max"]
InputScaling: TypeAlias = Literal["none", "standard", "min-max", "bytes"]
Missing: TypeAlias = Literal["error", "mean", "drop"]
Header: TypeAlias = Literal["auto", "yes", "no"]
Channels: TypeAlias = Literal[0, 1, 3]

Coding: TypeAlias = Literal["change", "value", "robust"]
Packets: TypeAlias = Literal["event", "vector"]

TracePlace: TypeAlias = Literal["start", "end", "nan"]
PlayedOn: TypeAlias = Literal["lava", "in-process", "both"]
Unread: TypeAlias = Literal["fail", "allow"]

GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
CLOCKS: tuple[Clock, ...] = get_args(Clock)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
BACKENDS: tuple[Backend, ...] = get_args(Backend)
CODINGS: tuple[Coding, ...] = get_args(Coding)
DTYPES: tuple[DType, ...] = get_args(DType)
LEARN_AT: tuple[LearnAt, ...] = get_args(LearnAt)
LR_SCHEDULES: tuple[LrSchedule, ...] = get_args(LrSchedule)
TASKS: tuple[Task, ...] = get_args(Task)
SCALINGS: tuple[ScalingKind, ...] = get_args(ScalingKind)
