"""`python -m bridge`: spanbridge, by the name that its package has in the source tree. It is nothing to import."""

import sys

if __name__ != "__main__":
    raise ModuleNotFoundError(f"No module named {__name__!r}", name=__name__)

from spanbridge.__main__ import main

sys.exit(main())
