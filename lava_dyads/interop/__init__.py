"""Networks from other frameworks, and for them: one file per format."""

from lava_dyads.interop.imported import Imported
from lava_dyads.interop.reading import (
    FORMATS,
    from_arrays,
    from_onnx,
    from_sklearn,
    from_torch,
    import_network,
)

__all__ = [
    "FORMATS",
    "Imported",
    "from_arrays",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "import_network",
]
