"""Two dyads on Lava's own runtime: they settle, fall silent, and learn what backprop learns.

Lava is archived and no neuromorphic chip is involved: its runtime simulates on the CPU.
Run it with ``python tutorials/two_dyads.py``; it takes about a second.
"""

import numpy as np

from lava_dyads import (
    SGD,
    DatasetSource,
    Dyad,
    DyadDense,
    LavaSession,
    LossHead,
    PresentationSchedule,
)

x, y, w1, w2, rate = 2.0, 0.5, 0.5, -0.8, 0.1

# Two connections and a head take 5 time steps up and back. The 6th is there to certify that
# nothing moves any more; at its end the weights learn.
common = {"schedule": PresentationSchedule(steps=6)}
source = DatasetSource([[x]], [[y]], schedule=common["schedule"])
lower = DyadDense([[w1]], optimiser=SGD(rate), **common)
hidden = Dyad((1,), activation="relu", first_step=2, **common)
upper = DyadDense([[w2]], optimiser=SGD(rate), **common)
output = Dyad((1,), activation="linear", first_step=3, **common)
head = LossHead(1, loss="squared-error", first_step=3, **common)

# Activity goes up ...
source.x_out.connect(lower.mean_in)
lower.basal_out.connect(hidden.basal_in)
hidden.mean_out.connect(upper.mean_in)
upper.basal_out.connect(output.basal_in)
output.mean_out.connect(head.mean_in)
source.y_out.connect(head.target_in)
# ... and the error comes down, to the lower weight.
head.drive_out.connect(output.apical_in)
output.difference_out.connect(upper.difference_in)
upper.apical_out.connect(hidden.apical_in)
hidden.difference_out.connect(lower.difference_in)

with LavaSession(source) as session:
    session.run(6)

for name, dyad in (("hidden", hidden), ("output", output)):
    plus, minus, last = (dyad.read(var)[0] for var in ("s_plus", "s_minus", "residual"))
    events = dyad.element.counts["events_mean"], dyad.element.counts["events_difference"]
    print(f"{name} dyad: s+ = {plus:.3f}, s- = {minus:.3f}, s+ - s- = {plus - minus:.3f}")
    print(f"  events sent: {events[0]} up, {events[1]} down; moved in the last step by {last:g}")
    assert last == 0, "a dyad was not silent in the certifying step"

# Backprop by hand, of the loss 1/2 (w2 relu(w1 x) - y)^2.
z = max(w1 * x, 0.0)
error = w2 * z - y
by_hand = [-rate * error * w2 * (z > 0) * x, -rate * error * z]
learnt = [lower.read("weights").item() - w1, upper.read("weights").item() - w2]
for name, ours, theirs in zip(("lower", "upper"), learnt, by_hand, strict=True):
    print(f"{name} weight: changed by {ours:.6f}, backprop {theirs:.6f}", end=", ")
    print(f"difference {ours - theirs:.1e}")
np.testing.assert_allclose(learnt, by_hand, rtol=1e-12)
