"""Networks from other frameworks, and for them: one file per format."""

from lava_dyads.interop.imported import Imported
from lava_dyads.interop.reading import (
    FORMATS,
    from_arrays,
    from_nir,
    from_onnx,
    from_sklearn,
    from_torch,
    import_network,
)
from lava_dyads.interop.writing import EXPORTS, export_network

__all__ = [
    "EXPORTS",
    "FORMATS",
    "Imported",
    "export_network",
    "from_arrays",
    "from_nir",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "import_network",
]
