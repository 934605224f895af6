"""Bridges with the packages of examples/, and the helpers in their PATH."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def spanbridge_packages() -> Mapping[str, Path]:
    return {package.name: package for package in (EXAMPLES / "packages" / "cockpit").iterdir()}


@pytest.fixture
def spanbridge_options(tmp_path: Path) -> dict[str, Any]:
    path = f"{EXAMPLES / 'helpers'}:{Path(sys.executable).parent}:/usr/bin:/bin"
    return {"environ": {"PATH": path, "TEMPERATURES_ROOT": str(tmp_path / "sys")}}
