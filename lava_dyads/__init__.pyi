"""The public names and where they stand: read by type checkers, editors and the package itself."""

from lava_dyads.data import Dataset as Dataset
from lava_dyads.data import load as load
from lava_dyads.elements.clock import PresentationSchedule as PresentationSchedule
from lava_dyads.errors import DeadlockError as DeadlockError
from lava_dyads.errors import DyadsError as DyadsError
from lava_dyads.errors import HangError as HangError
from lava_dyads.errors import ModelError as ModelError
from lava_dyads.errors import ValidationError as ValidationError
from lava_dyads.experiments import check_gradient as check_gradient
from lava_dyads.models import EventModel as EventModel
from lava_dyads.networks import Execution as Execution
from lava_dyads.networks import Graph as Graph
from lava_dyads.networks import NetworkSpec as NetworkSpec
from lava_dyads.networks import Node as Node
from lava_dyads.networks import describe as describe
from lava_dyads.processes import Conductor as Conductor
from lava_dyads.processes import DatasetSource as DatasetSource
from lava_dyads.processes import Dyad as Dyad
from lava_dyads.processes import DyadAveragePool as DyadAveragePool
from lava_dyads.processes import DyadConv as DyadConv
from lava_dyads.processes import DyadConvFeedback as DyadConvFeedback
from lava_dyads.processes import DyadDense as DyadDense
from lava_dyads.processes import DyadDenseFeedback as DyadDenseFeedback
from lava_dyads.processes import DyadEmbed as DyadEmbed
from lava_dyads.processes import DyadMaxPool as DyadMaxPool
from lava_dyads.processes import DyadNetwork as DyadNetwork
from lava_dyads.processes import DyadProduct as DyadProduct
from lava_dyads.processes import LossHead as LossHead
from lava_dyads.processes import MetricSink as MetricSink
from lava_dyads.rules.optimisers import SGD as SGD
from lava_dyads.rules.optimisers import Adam as Adam
from lava_dyads.rules.optimisers import Momentum as Momentum
from lava_dyads.runtime import DyadRunConfig as DyadRunConfig
from lava_dyads.runtime import Faults as Faults
from lava_dyads.runtime import InProcessSession as InProcessSession
from lava_dyads.runtime import LavaSession as LavaSession
from lava_dyads.runtime import Trace as Trace
from lava_dyads.runtime import Transport as Transport
from lava_dyads.runtime import in_process as in_process
from lava_dyads.training import Checkpoint as Checkpoint
from lava_dyads.training import Trainer as Trainer
from lava_dyads.training import TrainingConfig as TrainingConfig

__version__: str
