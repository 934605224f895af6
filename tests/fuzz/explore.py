"""One target under atheris: `python -m tests.fuzz.explore TARGET [libFuzzer's arguments]`."""

import sys

import atheris

with atheris.instrument_imports(include=["spanbridge.protocol", "spanbridge.manifests"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
