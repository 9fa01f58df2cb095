"""Run configurations, and the safe way to run anything on Lava."""

from lava_dyads.lava_compat import require_lava

require_lava(__name__)

from lava_dyads.executors.transport import Faults, Transport
from lava_dyads.runtime.chip import DEVICES, Loihi2RunConfig, check_device
from lava_dyads.runtime.config import DyadRunConfig
from lava_dyads.runtime.in_process import InProcessRuntime
from lava_dyads.runtime.in_process_session import InProcessSession, in_process
from lava_dyads.runtime.interface import Session
from lava_dyads.runtime.session import LavaSession
from lava_dyads.runtime.trace import Trace

__all__ = [
    "DEVICES",
    "DyadRunConfig",
    "Faults",
    "InProcessRuntime",
    "InProcessSession",
    "LavaSession",
    "Loihi2RunConfig",
    "Session",
    "Trace",
    "Transport",
    "check_device",
    "in_process",
]
