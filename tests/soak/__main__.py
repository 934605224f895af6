"""`python -m tests.soak [--seconds 120] [--seed N] [--rounds 3] [--set NAME=VALUE]...`"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from .run import ROUNDS, Soak
from .site import site


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Chaos, checked.")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (120)")
    parser.add_argument("--seed", type=int, help="which decisions are made; another one each time if left out")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often all is brought to rest ({ROUNDS})")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a limit of the bridge")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    limits = dict(setting.split("=", 1) for setting in given.set)
    print(f"soak: seed {seed}, {given.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="spanbridge-soak-") as root, site(Path(root) / "home") as there:
        if not there.host:
            print("soak: without other hosts, for which it needs uid 0, openssh-server and gcc", flush=True)
        soak = Soak(there, seed, given.seconds, rounds=given.rounds, limits=limits)
        try:
            soak.run()
        except AssertionError as error:
            log = (there.home.root / "bridge.log").read_text()[-4_000:]
            print(f"{log}\nsoak: seed {seed}: {error}\n{soak.report()}", flush=True)
            return 1
    print(f"soak: seed {seed}: {soak.report()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
