"""Files for lava-dl are read back as the network that their integers stand for."""

import numpy as np
import pytest

from lava_dyads import NetworkSpec
from lava_dyads.errors import ValidationError
from lava_dyads.interop import import_network
from lava_dyads.loihi import netx, sigma_delta


def test_a_file_is_the_network_of_its_integers(tmp_path):
    data = np.random.default_rng(0)
    spec = NetworkSpec((6, 9, 7, 4), seed=2, bias_deviation=0.3)
    parameters = spec.initial_parameters()
    network = sigma_delta(spec, *parameters, data.random((40, 6)))
    path = tmp_path / "net.net"
    netx.write(path, network)
    made = import_network(path)
    for found, wanted in zip((made.checkpoint.weights, made.checkpoint.biases), network.parameters,
                             strict=True):  # fmt: skip
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValidationError, match="cannot be read"):
        import_network(path)
