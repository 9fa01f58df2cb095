"""The budget of cores: numbers by hand, and properties of any placement."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_dyads.errors import ValidationError
from lava_dyads.loihi import place
from lava_dyads.loihi.placement import CORE_LIMITS

LIMITS = {name: limit.value for name, limit in CORE_LIMITS.items()}


def test_784_512_512_10_by_hand():
    # Layer 1: 784 bytes per neuron, 131072 / 784 = 167.2, so 512 / 167 -> 4 cores of 128.
    # Layer 2: 512 bytes per neuron, 131072 / 512 = 256 exactly: 2 cores. Layer 3: 1 core.
    made = place((784, 512, 512, 10))
    first, second, third = made.layers
    assert [layer.cores for layer in made.layers] == [4, 2, 1]
    assert [layer.synapses for layer in made.layers] == [784 * 512, 512 * 512, 512 * 10]
    assert vars(first.load) == {
        "compartments": 128,
        "synapse_bytes": 128 * 784,
        # 4 registers of 4 bytes per neuron; 784 axons in, 128 neurons speaking to 2 cores
        "bytes": 128 * 784 + 128 * 16 + 4 * (784 + 256),
        "input_axons": 784,
        "output_axons": 256,
    }
    assert vars(second.load) == {
        "compartments": 256,
        "synapse_bytes": 131072,
        "bytes": 131072 + 256 * 16 + 4 * (512 + 256),
        "input_axons": 512,
        "output_axons": 256,
    }
    assert third.load.output_axons == 10
    assert (first.input_axons, first.output_axons) == (4 * 784, 512 * 2)
    assert made.total("neurons") == made.total("compartments") == 1034
    assert made.messages == 784 + 512 + 512 + 10
    assert made.fits
    assert (made.cores, made.chips_needed) == (7, 1)
    share = made.as_dict()["utilisation"]
    assert share["cores"] == 7 / 128
    assert share["synapse_bytes"] == 668672 / (128 * 131072)
    assert share["compartments"] == 1034 / (128 * 8192)
    assert share["input_axons"] == (4 * 784 + 2 * 512 + 512) / (128 * 4096)


def test_784_512_512_10_that_learns_by_hand():
    # Layer 1 holds 784 + 512 synapses per neuron: 131072 / 1296 = 101.1 -> 6 cores, 86 at most.
    # Layer 2: 512 + 10: 251.1 -> 3 cores, 171 at most. Layer 3: 512 + 1 for the loss: 1 core.
    made = place((784, 512, 512, 10), learning=True)
    assert [layer.cores for layer in made.layers] == [6, 3, 1]
    assert vars(made.layers[1].load) == {
        "compartments": 342,
        "synapse_bytes": 171 * 522,
        # 7 registers; traces: 512 x1 + 2 y per neuron, mirrored 2 * 10 + 1 per neuron;
        # axons: 512 + 10 in, each neuron speaks to 1 core above and 6 below
        "bytes": 171 * 522 + 171 * 28 + (512 + 342 + 20 + 171) + 4 * (522 + 171 * 7),
        "input_axons": 522,
        "output_axons": 171 * 7,
    }
    assert made.layers[2].load.input_axons == 512 + 10
    assert made.layers[2].synapses == 10 * 513
    assert made.messages == 784 + 2 * 1034 + 10
    assert made.total("compartments") == 2068


def test_what_does_not_fit_on_a_chip_is_named_with_the_amount():
    # Layer 2: 4096 bytes per neuron -> 32 per core, 128 cores. A neuron of layer 1 then speaks to
    # 128 cores, so 4096 / 128 = 32 per core as well: 128. Layer 3: 10 x 4096 bytes: 1.
    made = place((784, 4096, 4096, 10))
    assert [layer.cores for layer in made.layers] == [128, 128, 1]
    assert [str(v) for v in made.violations] == ["chip: cores 257 of 128 (200.8 %)"]
    assert made.chips_needed == 3
    assert not place((784, 4096, 4096, 10), chips=2).fits
    three = place((784, 4096, 4096, 10), chips=3)
    assert three.fits
    assert three.cores_per_chip == (128, 128, 1)
    assert three.shares["cores"] == 257 / 384
    assert place((784, 512, 512, 10), chips=2).cores_per_chip == (7, 0)
    assert place((784, 4096, 4096, 10), chips=2, chip_cores=129).fits


def test_what_does_not_fit_on_any_core_is_named_with_the_layer():
    made = place((5000, 10))
    text = "layer 1: input axons of a core 5,000 of 4,096 (122.1 %)"
    assert [str(v) for v in made.violations] == [text]
    assert made.chips_needed is None
    assert made.as_dict()["violations"] == [
        {"where": "layer 1", "what": "input axons of a core", "value": 5000, "limit": 4096,
         "text": text}
    ]  # fmt: skip


def test_layers_that_drive_each_other_up_are_named_too():
    # m_2 (c_1 + c_3) <= 4096 and m_1 c_2 <= 4096 with n_1 = n_2 = 4096: c_1 + 1 <= c_2 <= c_1.
    made = place((784, 4096, 4096, 10), learning=True)
    assert "layer 2: output axons of a core 4,929 of 4,096 (120.3 %)" in map(str, made.violations)
    assert made.cores < 300


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6000), min_size=2, max_size=5),
    learning=st.booleans(),
)
def test_cores_hold_every_neuron_and_every_synapse_within_the_limits(sizes, learning):
    made = place(sizes, learning=learning)
    synapses = sum(a * b for a, b in pairwise(sizes))
    if learning:
        synapses += sum(a * b for a, b in pairwise(sizes[1:])) + sizes[-1]
    assert made.total("synapses") == synapses
    assert made.total("neurons") == sum(sizes[1:])
    for layer, neurons in zip(made.layers, sizes[1:], strict=True):
        per_core = -(-neurons // layer.cores)
        assert layer.load.compartments == per_core * (2 if learning else 1)
        broken = [name for name, most in LIMITS.items() if getattr(layer.load, name) > most]
        told = [v.what for v in made.violations if v.where == layer.name]
        assert told == [f"{name.replace('_', ' ')} of a core" for name in broken]
    assert made.fits == (made.cores <= 128 and not any("layer" in v.where for v in made.violations))


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), min_size=2, max_size=4))
def test_one_core_less_would_break_a_limit(sizes):
    from lava_dyads.loihi.placement import _load

    made = place(sizes)
    if not made.fits:
        return
    cores = [1, *(layer.cores for layer in made.layers)]
    for k, layer in enumerate(made.layers, 1):
        if layer.cores > 1:
            fewer = -(-layer.neurons // (layer.cores - 1))
            if fewer > -(-layer.neurons // layer.cores):
                assert _load(sizes, cores, k, fewer, False).over()


@pytest.mark.parametrize(
    ("sizes", "others", "words"),
    [((3,), {}, "layers"), ((3, 0), {}, "layers"), ((3, 2), {"chips": 0}, "chips"),
     ((3, 2), {"chip_cores": 0}, "chip_cores")],
)  # fmt: skip
def test_numbers_below_one_are_refused(sizes, others, words):
    with pytest.raises(ValidationError, match=words):
        place(sizes, **others)
