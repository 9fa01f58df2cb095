"""Many trainings: settings times seeds, in several processes or on a cluster."""

from lava_dyads.studies.job import Job
from lava_dyads.studies.results import StudyResults
from lava_dyads.studies.space import Range, Search
from lava_dyads.studies.study import study

__all__ = ["Job", "Range", "Search", "StudyResults", "study"]
