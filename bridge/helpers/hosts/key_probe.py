"""The key of a host that is not trusted: ssh connects once more, writes it into a file of ours, and does not log in."""

import os
from collections.abc import Mapping

from ...wire.context import Context
from ...wire.private_directory import private_file, remove_file
from ..brief_run import run_briefly
from ..process import SpawnError
from .destination import Destination
from .host_key import HostKey, read_key
from .ssh_command import Version, probe_command


async def fetch_key(
    context: Context,
    destination: Destination,
    directory: str,
    environ: Mapping[str, str],
    *,
    version: Version,
    seconds: float,
) -> HostKey | None:
    """The key, None where the second connection brought none within `seconds`. `directory` is where its file is made,
    and where nobody else may enter."""
    path = ""
    try:
        handle, path = private_file(directory, "probe-")
        os.close(handle)
        argv = probe_command(destination, path, version=version, seconds=seconds)
        await run_briefly(context, argv, environ, seconds)
        return _first_key(path)
    except (OSError, SpawnError) as error:
        context.log.warning("no-host-key", host=destination.text, why=str(error))
        return None
    finally:
        remove_file(path)


def _first_key(path: str) -> HostKey | None:
    with open(path, encoding="utf-8", errors="replace") as file:
        return next((key for line in file if (key := read_key(line.rstrip("\n"))) is not None), None)
