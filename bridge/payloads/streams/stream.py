"""Payload `stream`: which of a program, a terminal or a socket an open asks for."""

from typing import Any, Final

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..base import Port, Services
from ..connect.target import Target
from ..served.channel import Channel
from ..served.options import Options
from ..served.payload import Payload
from .directory import Awaited, directories
from .environment import encode, program_environ
from .launch import Command, start_on_pipes
from .program import Spawned
from .programs import Programs
from .socket import Connected
from .terminal import read_size, start_in_terminal

_LATENCY: Final = 75  # milliseconds
_PORTS: Final = 65_535


def stream(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open of payload `stream`. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    return channel.serve(_payload(channel, options, services))


def _payload(channel: Channel, options: Options, services: Services) -> Payload:
    batch = options.integer("batch", 0, least=0)
    latency = options.integer("latency", _LATENCY, least=0)
    if "spawn" in options:
        return _program(channel, options, services, batch, latency)
    if "unix" in options or "port" in options or "address" in options:
        return Connected(channel, services, _target(options), batch, latency)
    if "internal" in options:
        from .handed_over import hand_over  # few need it, and D-Bus with it

        return hand_over(channel, services, options.text("internal"), batch, latency)
    raise Problem(PROTOCOL_ERROR, 'stream: expected one of "spawn", "unix", "port" and "internal"')


def _program(channel: Channel, options: Options, services: Services, batch: int, latency: int) -> Payload:
    argv = options.texts("spawn", system=True, empty=False)
    directory = options.system("directory", None)
    environ = program_environ(services, options.texts("environ", [], system=True))
    err = options.choice("err", None, "out", "ignore", "message")
    command = Command(
        argv=[encode(each) for each in argv],
        environ=environ,
        directory=None if directory is None else encode(directory),
    )
    size = read_size(options) if options.boolean("pty") else None

    def start() -> Payload:
        services.once(Programs).check_room()
        running = start_on_pipes(command, err) if size is None else start_in_terminal(command, size)
        return Spawned(channel, services, running, command.name, err, batch, latency)

    if command.directory is None or services.once(directories).answers_at_once(command.directory):
        return start()
    return Awaited(channel, services, command.directory, start)


def _target(options: Options) -> Target:
    if "unix" in options:
        if "port" in options:
            raise Problem(PROTOCOL_ERROR, 'stream: expected "unix" or "port", found both')
        path = options.system("unix")
        if not path.startswith("/"):
            raise options.wrong("unix", "an absolute path")
        return Target(unix=path)
    port = options.integer("port", least=1, most=_PORTS)
    address = options.system("address", "localhost")
    if not address:
        raise options.wrong("address", "a host name or an address")
    return Target(address=address, port=port)
