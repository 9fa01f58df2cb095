"""The test kit: a Process between a source and a sink, with a timeout and no leftovers."""

from lava_dyads.lava_compat import require_lava

require_lava(__name__)

from lava_dyads.testing.play import Played, no_leftovers, play
from lava_dyads.testing.react import Reaction, react

__all__ = ["Played", "Reaction", "no_leftovers", "play", "react"]
