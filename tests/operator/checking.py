"""Running `spanbridge check` and `list`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from spanbridge.operator.check import main
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.home import Home


def run(
    home: Home, *arguments: str | Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `spanbridge` with these arguments."""
    done = subprocess.run(
        [SPANBRIDGE, *arguments],
        env={**home.environ, **(environ or {})},
        cwd=cwd or home.root,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Checked(NamedTuple):
    status: int
    findings: list[dict[str, Any]]

    @property
    def kinds(self) -> list[str]:
        return [each["kind"] for each in self.findings]

    def one(self, kind: str) -> dict[str, Any]:
        """The only finding of this kind."""
        found = [each for each in self.findings if each["kind"] == kind]
        assert len(found) == 1, self.findings
        return found[0]


def check(
    home: Home, *arguments: str | Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Checked:
    """What `spanbridge check --json` finds; the status goes with it.

    In this process, since there are so many: `run` has the whole program.
    """
    told = StringIO()
    with (
        mock.patch.dict(os.environ, {**home.environ, **(environ or {})}, clear=True),
        mock.patch.object(sys, "argv", [str(SPANBRIDGE)]),
        chdir(cwd or home.root),
        redirect_stdout(told),
    ):
        status = main(["--json", *map(str, arguments)])
    found = json.loads(told.getvalue())
    problems = [each for each in found["findings"] if each["severity"] != "note"]
    assert status == bool(problems)
    assert found["errors"] + found["warnings"] == len(problems)
    return Checked(status, found["findings"])


def override(home: Home, name: str, patch: Any) -> Path:
    """An override of the system's, in /etc so to say; `patch` is its text, or what that says."""
    path = home.config_dir / "cockpit" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(patch if isinstance(patch, str) else json.dumps(patch))
    return path


def system_package(home: Home, name: str, manifest: Any) -> Path:
    """A package in the system's data directory; the path of its manifest."""
    path = home.data_dir / "cockpit" / name / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return path
