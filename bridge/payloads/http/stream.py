"""Payloads `http-stream1` and `http-stream2` (docs/http.md); those of packages are served by http_packages."""

from typing import Any

from ..base import Internal, Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .connections import Connections
from .exchange import Exchange
from .request import read_name, read_request


def http_stream(port: Port, message: dict[str, Any], services: Services) -> Internal:
    """Serves an open of either payload. Raises Problem."""
    if message.get("internal") is not None:
        # Not before: with what it imports, it is larger than all of this.
        from ..http_packages import http_stream as packages_stream

        return packages_stream(port, message, services)
    options = Options(message)
    channel = Channel(port, options, services)
    request = read_request(options, services.once(Connections).known)
    exchange = Exchange(channel, request, services, head_as_data=channel.kind == "http-stream1")
    channel.serve(exchange)
    exchange.begin()
    return channel


def check(message: dict[str, Any]) -> None:
    """Raises the Problem with which an open is refused for its options."""
    if message.get("internal") is not None:
        from ..http_packages import check as check_packages

        check_packages(message)
        return
    options = Options(message)
    if read_name(options) is None or "unix" in options or "port" in options:
        read_request(options)  # else it goes where an earlier open of the same `connection` went
