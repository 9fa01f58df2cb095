"""PyTorch modules become networks that compute the same. In an environment with torch alone."""

import pickle

import numpy as np
import pytest

from lava_dyads.errors import UnsupportedError
from lava_dyads.interop import from_arrays, from_torch

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812


def _compare(module, shape):
    module = module.double().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    x = torch.randn(6, *shape, dtype=torch.float64)
    made = from_torch(module, x)
    with torch.no_grad():
        wanted = module(x).numpy()
    np.testing.assert_allclose(made.outputs(x.numpy()), wanted, rtol=1e-8, atol=1e-8)
    return made


def _neurons(data):
    kinds = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.Hardtanh, nn.ReLU6]
    return kinds[data.integers(len(kinds))]()


@pytest.fixture(params=range(20))
def data(request):
    torch.manual_seed(request.param)
    return np.random.default_rng(request.param)


def test_chains_compute_the_same(data):
    n, parts = 6, []
    for wide in data.integers(3, 8, size=data.integers(1, 4)):
        parts += [nn.Linear(n, wide), *([nn.BatchNorm1d(wide)] if data.random() < 0.5 else [])]
        parts += [_neurons(data), nn.Dropout(0.5)]
        n = wide
    _compare(nn.Sequential(*parts, nn.Linear(n, 3)), (6,))


def test_convolutions_compute_the_same(data):
    wide, stride, pad = (int(data.integers(*ends)) for ends in ((2, 5), (1, 3), (0, 2)))
    pool = nn.MaxPool2d(2, 1) if data.random() < 0.5 else nn.AvgPool2d((2, 3), 2)
    parts = [nn.Conv2d(2, wide, 3, stride, pad), nn.BatchNorm2d(wide), _neurons(data), pool,
             nn.Conv2d(wide, 3, 2, padding=1), _neurons(data)]  # fmt: skip
    ends = [nn.AdaptiveAvgPool2d(1)] if data.random() < 0.3 else []
    body = nn.Sequential(*parts, *ends, nn.Flatten())
    n = body.eval()(torch.randn(1, 2, 12, 11)).shape[1]
    _compare(nn.Sequential(body, nn.Linear(n, 4)), (2, 12, 11))


class _Residual(nn.Module):
    def __init__(self, data):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3 * 25, 4)
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.neurons = nn.BatchNorm2d(3), _neurons(data)
        self.way = data.integers(4)

    def forward(self, x):
        z = F.relu(self.first((x - 0.3) / 0.5))
        branch = self.norm(self.b(self.neurons(self.a(z))))
        z = [z + branch, z - branch, z * branch, torch.add(branch, z)][self.way]
        return self.last(torch.flatten(F.relu(z), 1))


def test_residual_networks_compute_the_same(data):
    _compare(_Residual(data), (1, 5, 5))


class _Branches(nn.Module):
    def __init__(self, data):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 2, 3)
        self.side, self.last = nn.Linear(50, 5), nn.Linear(5 * 9 + 5, 4)
        self.neurons = _neurons(data)

    def forward(self, x):
        wide = torch.cat([self.neurons(self.a(x)), self.b(x)], dim=1)
        side = torch.tanh(self.side(x.view(x.size(0), -1)))
        return self.last(torch.cat([wide.reshape(x.size(0), -1), side], 1))


def test_concatenations_compute_the_same(data):
    _compare(_Branches(data), (2, 5, 5))


def test_a_state_dict_with_a_graph_is_the_module(tmp_path):
    from lava_dyads.interop import import_network

    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    torch.save(module.state_dict(), tmp_path / "net.pt")
    made = import_network(tmp_path / "net.pt", layers=(4, 5, 3))
    x = np.random.default_rng(0).normal(size=(3, 4))
    with torch.no_grad():
        wanted = module(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(made.outputs(x), wanted, atol=1e-12)
    assert from_arrays(module.state_dict(), layers=(4, 5, 3)).spec == made.spec


def test_what_has_no_place_is_named_and_pickled_objects_are_not_executed(tmp_path):
    from lava_dyads.interop import import_network

    with pytest.raises(UnsupportedError, match=r"^GELU 1: has no place"):
        from_torch(nn.Sequential(nn.Linear(3, 3), nn.GELU()), torch.randn(1, 3))

    class Way(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedError, match=r"^module: cannot be traced"):
        from_torch(Way(), torch.randn(1, 3))
    mark = tmp_path / "executed"

    class Bad:
        def __reduce__(self):
            return (open, (str(mark), "w"))

    torch.save({"weight": Bad()}, tmp_path / "bad.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bad()))
    (tmp_path / "cut.pt").write_bytes((tmp_path / "bad.pt").read_bytes()[:100])
    for name in ("bad", "plain", "cut"):
        with pytest.raises(UnsupportedError, match="holds more than weights") as caught:
            import_network(tmp_path / f"{name}.pt", layers=(1, 1))
        assert "\n" not in str(caught.value)
    assert not mark.exists()
