"""``python -m pig`` is the command ``pig``."""

import sys

from pig.cli import main

sys.exit(main())
