"""One attempt to deliver: a POST over HTTP/1.1, to an address that was checked."""

import asyncio
import socket
import time
from collections.abc import Mapping
from typing import Final

from .addresses import Allowed, Refused, Target, resolved
from .outcome import RETRY_MOST_SECONDS, Outcome

_READ_BYTES: Final = 64 << 10


async def attempt(target: Target, headers: Mapping[str, str], body: bytes, allowed: Allowed, seconds: float) -> Outcome:
    """`seconds`: how long it may take in all. Never raises."""
    try:
        async with asyncio.timeout(seconds):
            return await _post(target, headers, body, allowed)
    except Refused as why:
        return Outcome(0, str(why))
    except TimeoutError:
        return Outcome(0, f"no answer after {seconds:g} s (extension_delivery_seconds)")
    except OSError as error:  # of TLS, too
        return Outcome(0, str(error))


async def _post(target: Target, headers: Mapping[str, str], body: bytes, allowed: Allowed) -> Outcome:
    import h11

    reader, writer = await _connected(target, await resolved(target, allowed))
    try:
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(
            method="POST",
            target=target.path,
            headers=[("Host", target.authority), ("Content-Length", str(len(body))), *headers.items()],
        )
        data = connection.send(request) or b""
        data += connection.send(h11.Data(data=body)) or b""
        data += connection.send(h11.EndOfMessage()) or b""
        writer.write(data)
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ_BYTES))
            elif isinstance(event, h11.Response):
                return Outcome(event.status_code, "", retry_after(dict(event.headers).get(b"retry-after", b"")))
            elif not isinstance(event, h11.InformationalResponse):
                return Outcome(0, "the connection was closed without an answer")
    except h11.ProtocolError as error:
        return Outcome(0, f"not HTTP: {error}")
    finally:
        writer.close()


async def _connected(
    target: Target, addresses: list[tuple[int, str]]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError: of the last address."""
    context = None
    if target.secure:
        import ssl

        context = ssl.create_default_context()
    for number, (family, address) in enumerate(addresses, 1):
        try:
            return await asyncio.open_connection(
                address,
                target.port,
                family=socket.AddressFamily(family),
                ssl=context,
                server_hostname=target.host if target.secure else None,
            )
        except OSError:
            if number == len(addresses):
                raise
    raise OSError("no address")


def retry_after(value: bytes) -> float:
    """In seconds; 0 where it says nothing that can be read."""
    try:
        return max(0.0, min(_seconds_in(value.decode("ascii", "replace").strip()), RETRY_MOST_SECONDS))
    except (ValueError, OverflowError):  # a day or an hour that no month or day has
        return 0.0


def _seconds_in(text: str) -> float:
    if text.isdigit():
        seconds = float(text[:9])
    elif text:
        from email import utils  # 600 KiB with all that it imports, for the few that are told a date

        moment = utils.parsedate_to_datetime(text) if utils.parsedate_tz(text) is not None else None
        seconds = 0.0 if moment is None else moment.timestamp() - time.time()
    else:
        seconds = 0.0
    return seconds
