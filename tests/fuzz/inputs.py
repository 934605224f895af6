"""Where the inputs lie."""

from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).with_name("corpus")
MOST_BYTES: Final = 180_000  # of all targets


def files(target: str) -> list[Path]:
    """The inputs of one target."""
    return sorted(path for path in (CORPUS / target).iterdir() if not path.name.startswith("."))
