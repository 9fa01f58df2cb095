"""What type checkers are told about Lava's classes, see :mod:`lava_dyads.lava_types`."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from numpy.typing import ArrayLike, NDArray

MYPY = False

if MYPY:  # to which a class that derives from Any has whatever is asked for
    from builtins import object as _InPort  # noqa: N812
    from builtins import object as _OutPort  # noqa: N812
    from builtins import object as _Port  # noqa: N812
    from builtins import object as _Process  # noqa: N812
    from builtins import object as _Var  # noqa: N812

else:  # to be accepted where Lava's are
    from lava.magma.core.process.ports.ports import AbstractPort as _Port
    from lava.magma.core.process.ports.ports import InPort as _InPort
    from lava.magma.core.process.ports.ports import OutPort as _OutPort
    from lava.magma.core.process.process import AbstractProcess as _Process
    from lava.magma.core.process.variable import Var as _Var

_T = TypeVar("_T")

class Member(Generic[_T]):
    """A port or a Var of a Process; an attribute of an unknown class is unknown to Pyright."""

    def __get__(self, process: object, owner: type | None = None) -> _T: ...
    def __set__(self, process: object, value: _T) -> None: ...

class AbstractPort(_Port):
    name: str
    shape: tuple[int, ...]
    process: Member[AbstractProcess]
    def __init__(self, shape: tuple[int, ...]) -> None: ...
    def reshape(self, new_shape: tuple[int, ...]) -> AbstractPort: ...
    def flatten(self) -> AbstractPort: ...
    def transpose(self, axes: Sequence[int] | None = None) -> AbstractPort: ...
    def connect(self, ports: _Port | Sequence[_Port], connection_configs: Any = None) -> None: ...
    def connect_from(
        self, ports: _Port | Sequence[_Port], connection_configs: Any = None
    ) -> None: ...

class OutPort(AbstractPort, _OutPort): ...
class InPort(AbstractPort, _InPort): ...

class Var(_Var):
    name: str
    shape: tuple[int, ...]
    process: Member[AbstractProcess]
    def __init__(
        self,
        shape: tuple[int, ...],
        init: ArrayLike = 0,
        shareable: bool = True,
        name: str | None = None,
    ) -> None: ...
    @property
    def init(self) -> NDArray[Any]: ...
    def get(self, idx: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def set(self, value: ArrayLike, idx: NDArray[Any] | None = None) -> None: ...
    def alias(self, other_var: Var) -> None: ...

class AbstractProcess(_Process):
    name: str
    proc_params: dict[str, Any]
    create_runtime: Any
    _runtime: Any
    def __init__(self, **proc_params: Any) -> None: ...
    def run(
        self, condition: Any, run_cfg: Any = None, compile_config: dict[str, Any] | None = None
    ) -> None: ...
    def compile(self, run_cfg: Any, compile_config: dict[str, Any] | None = None) -> Any: ...
    def wait(self) -> None: ...
    def pause(self) -> None: ...
    def stop(self) -> None: ...
