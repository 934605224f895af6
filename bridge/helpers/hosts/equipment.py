"""What all connections of a session share, made with the first of them."""

from collections.abc import Mapping
from typing import Final

from anyio.abc import TaskGroup

from ...installed import askpass
from ...wire.context import Context
from ...wire.private_directory import private_directory, remove_directory
from ..launch import LOGIN_MESSAGES_VARIABLE
from .askpass_socket import AskpassSocket
from .prompts import Prompts
from .sending import Parcel
from .ssh_program import SshProgram
from .starts import Starts

_NO_DISPLAY: Final = "-"  # older versions of ssh ask no askpass program without one


class Equipment:
    """`directory` may be entered by the session's user alone. `close` lets go of it all."""

    def __init__(
        self,
        context: Context,
        tasks: TaskGroup,
        environ: Mapping[str, str],
        prompts: Prompts,
        program: SshProgram,
    ) -> None:
        """Raises OSError where there is no place for the directory."""
        self.context = context
        self.tasks = tasks
        self.prompts = prompts
        self.directory = private_directory(environ, "spanbridge-ssh-")
        self.socket = AskpassSocket(context.loop, context.log, self.directory)
        self.starts = Starts(context.loop, context.limits.host_starts, context.limits.host_start_seconds)
        self.parcel = Parcel(context, environ, self.directory)
        self.program = program
        self._environ = environ

    def environ(self) -> dict[str, str]:
        """The environment of ssh. It holds no secret."""
        inherited = {name: value for name, value in self._environ.items() if name != LOGIN_MESSAGES_VARIABLE}
        return {
            "DISPLAY": _NO_DISPLAY,
            **inherited,
            "SSH_ASKPASS": askpass(),
            "SSH_ASKPASS_REQUIRE": "force",
            **self.socket.environ,
        }

    def close(self) -> None:
        self.socket.close()
        self.parcel.close()
        remove_directory(self.directory)
