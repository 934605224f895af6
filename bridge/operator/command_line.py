"""What the tools that run a command have in common: `-- COMMAND` at the end of their arguments."""

import argparse


def split(
    parser: argparse.ArgumentParser, arguments: list[str], *, required: bool = True
) -> tuple[list[str], list[str]]:
    """Our own arguments, and the command behind `--`. Without one, if it is `required`, it ends as argparse does."""
    if "--" not in arguments:
        if required and not {"-h", "--help"}.intersection(arguments):
            parser.error("expected -- COMMAND at the end")
        return arguments, []
    at = arguments.index("--")
    if not arguments[at + 1 :]:
        parser.error("expected a command behind --")
    return arguments[:at], arguments[at + 1 :]
