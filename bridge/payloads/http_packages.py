"""Payloads `http-stream1` and `http-stream2` with `internal: "packages"`: the front end's files (docs/packages.md)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from spanbridge.protocol.problems import INTERNAL_ERROR, NOT_SUPPORTED, PROTOCOL_ERROR, Problem, shown

from .base import Port, Services
from .packages.answers import BAD_REQUEST, REASONS, Answer, RefusedError, Request, answer
from .packages.library import Library
from .served.channel import Channel
from .served.conversation import Conversation, converse

_METHOD: Final = "GET"


def http_stream(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open of either payload. Raises Problem, see `check`.

    http-stream1 has the head of the answer as its first data, http-stream2 as the control message `response`.
    """
    check(message)
    head_as_data = message["payload"] == "http-stream1"
    method = _member(message, "method")
    request = Request(_member(message, "path"), _headers(message), message.get("binary") != "raw")

    async def serve(channel: Conversation) -> None:
        refusal = await _refusal(channel, method)
        library = services.once(Library)
        if not library.slots.value and not library.slots.statistics().tasks_waiting:
            services.context.log.limit("package_answers", services.context.limits.package_answers)
        async with library.slots:
            made = await answer(request, library, services.context.log, refusal)
            try:
                await _send(channel, made, head_as_data)
            except (OSError, ValueError) as error:  # what was good at its beginning is not
                services.context.log.error("package-file", path=request.path, why=str(error))
                raise Problem(INTERNAL_ERROR, f"{request.path}: the answer ends early: {error}") from None
            finally:
                made.body.close()

    return converse(serve, port, message, services, ready=True)


async def _refusal(channel: Conversation, method: str) -> RefusedError | None:
    """Wait until the front end has said all: until then its request may turn out wrong."""
    async for payload in channel:
        if payload:
            return RefusedError(BAD_REQUEST, "data sent with a request that has none")
    if method != _METHOD:
        return RefusedError(BAD_REQUEST, f"expected the method {_METHOD}, found {method[:40]!r}")
    return None


async def _send(channel: Conversation, made: Answer, head_as_data: bool) -> None:
    head = {"status": made.status, "reason": REASONS[made.status], "headers": made.headers}
    if head_as_data:
        await channel.send_unit(msgspec.json.encode(head))
    else:
        await channel.control("response", **head)
    while (piece := await made.body.next()) is not None:
        await channel.send(piece)


def check(options: dict[str, Any]) -> None:
    """Raises Problem: `not-supported` for any other than of our packages, `protocol-error` for no clear request."""
    internal = options.get("internal")
    if internal != "packages":
        raise Problem(
            NOT_SUPPORTED,
            f'{options["payload"]}: nobody serves it but for internal: "packages", found {shown(internal)}',
        )
    for name in ("method", "path"):
        _member(options, name)
    _headers(options)


def _member(options: dict[str, Any], name: str) -> str:
    value = options.get(name)
    if not isinstance(value, str):
        raise Problem(PROTOCOL_ERROR, f'"{name}" of {options["payload"]}: expected a string, found {shown(value)}')
    return value


def _headers(options: dict[str, Any]) -> Mapping[str, str]:
    headers = options.get("headers")
    if headers is None:
        return {}
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        message = f'"headers" of {options["payload"]}: expected an object of strings, found {shown(headers)}'
        raise Problem(PROTOCOL_ERROR, message)
    return {name.lower(): value for name, value in headers.items()}
