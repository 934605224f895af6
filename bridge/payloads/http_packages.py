"""Payloads `http-stream1` and `http-stream2` with `internal: "packages"`: the front end's files (docs/packages.md)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from anyio import CancelScope

from spanbridge.protocol.control import frame_of, read_object
from spanbridge.protocol.frames import Span, control_payload, payloads
from spanbridge.protocol.problems import INTERNAL_ERROR, NOT_SUPPORTED, PROTOCOL_ERROR, Problem

from .base import Port, Services
from .packages.answers import BAD_REQUEST, REASONS, Answer, RefusedError, Request, answer
from .packages.library import Library

_METHOD: Final = "GET"


class HttpPackages:
    """One channel: one request. It is answered when the front end has said `done`; until then it may turn out wrong.

    http-stream1 has the head of the answer as its first data, http-stream2 as the control message `response`.
    """

    def __init__(self, port: Port, options: dict[str, Any], services: Services) -> None:
        self._port = port
        self._head_as_data = options["payload"] == "http-stream1"
        self._method = _member(options, "method")
        self._request = Request(_member(options, "path"), _headers(options), options.get("binary") != "raw")
        self._services = services
        self._library = services.once(Library)
        self._scope: CancelScope | None = None  # of the task that answers, once there is one
        port.control("ready")

    def put(self, data: Span) -> None:
        if any(payloads(data)):
            self._answer(RefusedError(BAD_REQUEST, "data sent with a request that has none"))

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        if command == "done":
            refusal = None
            if self._method != _METHOD:
                refusal = RefusedError(BAD_REQUEST, f"expected the method {_METHOD}, found {self._method[:40]!r}")
            self._answer(refusal)
        elif command == "ping":
            self._port.forward(frame_of({**read_object(control_payload(frame)), "command": "pong"}))

    def end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def _answer(self, refusal: RefusedError | None) -> None:
        """Begin to answer; later causes to answer the same request are too late."""
        if self._scope is None:
            self._scope = CancelScope()
            self._services.tasks.start_soon(self._serve, self._scope, refusal)

    async def _serve(self, scope: CancelScope, refusal: RefusedError | None) -> None:
        with scope:
            async with self._library.slots:
                made = await answer(self._request, self._library, self._services.context.log, refusal)
                try:
                    await self._send(made)
                except (OSError, ValueError) as error:  # what was good at its beginning is not
                    path = self._request.path
                    self._services.context.log.error("package-file", path=path, why=str(error))
                    self._port.close(Problem(INTERNAL_ERROR, f"{path}: the answer ends early: {error}"))
                finally:
                    made.done()

    async def _send(self, made: Answer) -> None:
        head = {"status": made.status, "reason": REASONS[made.status], "headers": made.headers}
        if self._head_as_data:
            self._port.send(msgspec.json.encode(head))
        else:
            self._port.control("response", **head)
        for piece in made.pieces:
            if piece:
                # One message waits for the front end at a time, whatever the number of channels.
                async with self._library.turn:
                    await self._services.front_drained()
                    self._port.send(piece)
        self._port.control("done")
        self._port.close()


def http_stream(port: Port, options: dict[str, Any], services: Services) -> HttpPackages:
    """Serves an open of either payload. Raises Problem, see `check`."""
    check(options)
    return HttpPackages(port, options, services)


def check(options: dict[str, Any]) -> None:
    """Raises Problem: `not-supported` for any other than of our packages, `protocol-error` for no clear request."""
    internal = options.get("internal")
    if internal != "packages":
        raise Problem(
            NOT_SUPPORTED, f'{options["payload"]}: nobody serves it but for internal: "packages", found {internal!r}'
        )
    for name in ("method", "path"):
        _member(options, name)
    _headers(options)


def _member(options: dict[str, Any], name: str) -> str:
    value = options.get(name)
    if not isinstance(value, str):
        raise Problem(PROTOCOL_ERROR, f'"{name}" of {options["payload"]}: expected a string, found {repr(value)[:80]}')
    return value


def _headers(options: dict[str, Any]) -> Mapping[str, str]:
    headers = options.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        message = f'"headers" of {options["payload"]}: expected an object of strings, found {repr(headers)[:80]}'
        raise Problem(PROTOCOL_ERROR, message)
    return {name.lower(): value for name, value in headers.items()}
