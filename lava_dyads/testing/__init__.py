"""The test kit: Processes between sources and sinks, with a timeout and no leftovers."""

from lava_dyads.lava_compat import require_lava

require_lava(__name__)

from lava_dyads.testing.leftovers import no_leftovers
from lava_dyads.testing.play import play
from lava_dyads.testing.react import Reaction, react
from lava_dyads.testing.series import Played, assert_golden, assert_same

__all__ = [
    "Played",
    "Reaction",
    "assert_golden",
    "assert_same",
    "no_leftovers",
    "play",
    "react",
]
