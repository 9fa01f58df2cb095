"""``python -m lava_dyads``."""

import sys

from lava_dyads.cli import main

sys.exit(main())
