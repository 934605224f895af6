"""`spanbridge schema`: the JSON Schema of manifest.json (docs/manifests.md, "Schema for editors")."""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from spanbridge.manifests.written import schema

FILE: Final = Path(__file__).with_name("manifest.schema.json")
"""What `schema` prints, as it is installed: for editors, which want a place to read it from."""

_DESCRIPTION: Final = """\
Print the JSON Schema (draft 2020-12) of manifest.json, or where it is installed. Editors complete and check manifests
with it; `spanbridge check` finds more.
"""


def main(arguments: list[str]) -> int:
    """Run the tool; its exit status."""
    parser = argparse.ArgumentParser(
        prog="spanbridge schema", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", action="store_true", help="the file: URL of the installed schema, for settings")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as exit_:  # argparse has said why
        return 2 if exit_.code else 0
    print(FILE.as_uri() if options.url else text(), end="\n" if options.url else "")
    return 0


def text() -> str:
    """The schema as it is printed and shipped."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"
