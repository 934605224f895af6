"""A place in which bridges of an ordinary user run: its packages, programs, gates."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.gate import Gate
from spanbridge.testing.home import Home
from spanbridge.testing.script import Rule, Steps

from .client import SuperuserClient
from .installation import Installation, User

HOST = "localhost"


class Site:
    """`directory` is one that the user may enter. Bridges that were started end with `stack`."""

    def __init__(self, directory: Path, installation: Installation, user: User, stack: ExitStack) -> None:
        self.home = Home(directory / "home")
        self.installation = installation
        self.user = user
        self.programs = directory / "programs"
        self.programs.mkdir()
        self._stack = stack
        self._gates = 0
        if user.uid != os.getuid():
            os.chown(self.home.runtime, user.uid, user.gid)
            os.chown(self.home.root, user.uid, user.gid)

    # What is in a manifest

    def end(self) -> None:
        """End all bridges that were started; they must leave nothing behind."""
        self._stack.close()

    def command(self, steps: Steps, *arguments: str) -> list[str]:
        """The argv of a fake helper that this user can run."""
        program = str(self.installation.helpers / "fake_helper.py")
        return [self.installation.python, "-I", "-S", program, json.dumps(steps), *arguments]

    def program(self, name: str, steps: Steps) -> Path:
        """A fake helper as a program of this name."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\nexec {shlex.join(self.command(steps))}\n")
        path.chmod(0o755)
        return path

    def privileged(self, steps: Steps, label: str | None = "test", **members: Any) -> Rule:
        """A rule for a privileged fake helper."""
        labelled = {} if label is None else {"label": label}
        return {"privileged": True, "spawn": self.command(steps), **labelled, **members}

    def named(self, name: str, steps: Steps, **members: Any) -> Rule:
        """The same without a label: its id is the name of its program."""
        return {"privileged": True, "spawn": [str(self.program(name, steps))], **members}

    def helper(self, match: Mapping[str, Any], steps: Steps) -> Rule:
        """A rule for an ordinary fake helper."""
        return {"match": dict(match), "spawn": self.command(steps)}

    def gate(self) -> Gate:
        """Something for a fake helper to wait at."""
        self._gates += 1
        gate = Gate(self.home.root / f"gate-{self._gates}")
        gate.path.chmod(0o666)
        self._stack.callback(gate.close)
        return gate

    # Bridges

    def start(
        self,
        *rules: Rule,
        limits: Mapping[str, float | str] | None = None,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        as_user: bool = True,
        **init: Any,
    ) -> Bridge:
        """Start a bridge with `rules` as its package `test`; exchange `init` with it, with these further members."""
        if rules:
            self.home.package("test", *rules)
        prefix = self.user.prefix if as_user else ()
        bridge = self._stack.enter_context(
            Bridge(
                self.home,
                limits=limits,
                environ=environ,
                arguments=arguments,
                command=(*prefix, str(self.installation.spanbridge)),
            )
        )
        bridge.journal.path.chmod(0o666)
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init(HOST, **init)
        return bridge

    def superuser(self, *rules: Rule, **arguments: Any) -> tuple[Bridge, FrontEnd, SuperuserClient]:
        """The same with a client of its `/superuser`."""
        bridge = self.start(*rules, **arguments)
        return bridge, bridge.front_end, SuperuserClient(bridge.front_end)
