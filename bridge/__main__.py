"""`python -m bridge`: the `spanbridge` command."""

import sys

from .cli import main

sys.exit(main())
