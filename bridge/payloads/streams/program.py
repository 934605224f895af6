"""A program as a channel: on pipes, or in a terminal.

It ends by itself: its output at the end, `done`; that and the process ended, `close`. Or its channel is closed: then
all that we hold of it is let go, and its process group is told to end.
"""

import termios
from functools import partial
from typing import Any

from spanbridge.protocol.frames import Span
from spanbridge.protocol.problems import Problem

from ...wire.train import HALF_BYTES
from ...wire.writer import Writer
from ..base import Services
from ..served.channel import Channel
from ..served.moment import Moment
from ..served.options import Options
from .exits import Exit
from .launch import Running
from .output import Output
from .programs import Programs, how_it_ended
from .stderr import Stderr
from .terminal import read_size, set_size


class Spawned:
    """What one channel with a program does."""

    __slots__ = (
        "_channel",
        "_context",
        "_ended",
        "_err",
        "_exit",
        "_input",
        "_input_over",
        "_line_open",
        "_moment",
        "_output",
        "_pid",
        "_programs",
        "_silent",
        "_stderr",
        "_terminal",
    )

    def __init__(
        self,
        channel: Channel,
        services: Services,
        running: Running,
        name: str,
        err: str | None,
        batch: int,
        latency: int,
    ) -> None:
        """`running` was started for this channel. `name`: the program's, for the log; `err` as in the open."""
        context = self._context = services.context
        self._channel = channel
        self._programs = services.once(Programs)
        self._programs.started(running.pid)
        self._pid = running.pid  # -1 once it is not ours to see to any more
        self._err = err
        self._ended = False  # the process has
        self._silent = False  # its output has
        self._terminal = running.stdout if running.terminal else -1
        self._input_over = False  # whether all that is still written to it is ours
        self._line_open = False  # whether the last byte that the terminal got is within a line
        self._stderr: Stderr | None = None
        if running.stderr >= 0:
            told = name if err is None else None
            self._stderr = Stderr(context, running.stderr, told, running.pid, services.outlast)
        self._moment = Moment(context, services.front)
        self._input: Writer | None = Writer(
            context.loop,
            context.poller,
            context.flusher,
            context.budget,
            running.stdin,
            high_water=HALF_BYTES,
            on_broken=self._input_broken,
            on_full=self._moment.full,
            on_room=self._moment.room,
            on_taken=self._taken,
        )
        if not running.terminal:
            channel.outlet = self._input
        self._output = Output(
            context,
            channel,
            running.stdout,
            self._output_ended,
            batch=batch,
            latency=latency,
            terminal=running.terminal,
        )
        self._exit = Exit(context, running.pid, self._process_ended)
        channel.ready(pid=running.pid)
        self._output.start()

    # From the front end (channel.Payload)

    def data(self, data: Span, nbytes: int) -> None:
        if self._input is None or not nbytes:
            self._channel.taken(nbytes)
            return
        if self._terminal >= 0:
            last = data[-1] if isinstance(data, list) else data
            self._line_open = bytes(last[-1:]) != b"\n"
        self._input.put(data)

    def done(self) -> None:
        if self._input is None:
            return
        if self._terminal >= 0:
            self._input.when_empty(partial(self._channel.guard, self._end_of_file))
        else:
            self._input.when_empty(self._close_input)

    def _end_of_file(self) -> None:
        """The character that a terminal takes for the end of its input, where it reads lines; twice within a line."""
        if self._input is None:
            return
        *_, local, _, _, characters = termios.tcgetattr(self._terminal)
        if local & termios.ICANON:
            character = characters[termios.VEOF]
            self._input_over = True
            self._input.put(character * 2 if self._line_open else character)

    def command(self, command: str, message: dict[str, Any]) -> None:
        if command != "options":
            return
        for member in ("batch", "latency", "window"):
            if member in message:
                self._adjust(member, Options(message, "options of stream"))

    def _adjust(self, member: str, options: Options) -> None:
        """One that is not as it should be is told of in the log, and the others count: terminals send null for a size
        that they do not know."""
        try:
            if member == "batch":
                self._output.adjust(options.integer("batch", None, least=0), None)
            elif member == "latency":
                self._output.adjust(None, options.integer("latency", None, least=0))
            elif self._terminal >= 0 and member in options:
                window = options.members("window")
                window.integer("rows"), window.integer("cols")
                set_size(self._terminal, read_size(options))
        except Problem as problem:
            self._context.log.warning("option-ignored", pid=self._pid, why=problem.message)

    def end(self) -> None:
        if self._pid < 0:
            return
        self._close_input()
        self._output.close()
        if self._stderr is not None:
            self._stderr.close()
        self._exit.close()
        pid, self._pid = self._pid, -1
        self._programs.stop(pid, ended=self._ended)

    # From the program

    def _taken(self, nbytes: int) -> None:
        if not self._input_over:
            self._channel.taken(nbytes)
        self._moment.taken(nbytes)

    def _input_broken(self, reason: str) -> None:
        """It has closed its stdin, or ended: what waits and what comes is dropped."""
        self._context.loop.call_soon(self._close_input)

    def _close_input(self) -> None:
        if self._input is not None:
            writer, self._input = self._input, None
            self._channel.outlet = None
            self._moment.room()
            writer.close()
            self._channel.take_all()

    def _output_ended(self, error: OSError | None) -> None:
        self._silent = True
        self._terminal = -1
        self._channel.done()
        self._finish()

    def _process_ended(self) -> None:
        self._ended = True
        self._finish()

    def _finish(self) -> None:
        """Close the channel, once the output is at its end and the process too."""
        if not (self._silent and self._ended) or self._pid < 0:
            return
        told: dict[str, Any] = how_it_ended(self._pid)
        if self._stderr is not None:
            self._stderr.finish()
            text = self._stderr.text
            if text or self._err == "message":
                told["message"] = text
        elif self._err == "message":
            told["message"] = ""
        self._close_input()
        self._exit.close()
        pid, self._pid = self._pid, -1
        self._programs.reap(pid)
        self._channel.close(**told)
