"""What an open says of the server: a unix socket or a host, TLS or not (docs/http.md, "Where to")."""

import os
import re
from typing import Final

import msgspec

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..connect.target import Target
from ..connect.tls import Pem, Tls
from ..served.options import Options

_NAME: Final = re.compile(r"[^\x00-\x20\x7f]+")  # it goes into a header: nothing that could end one


class Where(msgspec.Struct, frozen=True):
    """One server."""

    target: Target
    tls: Tls | None

    @property
    def host(self) -> str:
        """As the Host header says it: with the port, but for unix sockets."""
        target = self.target
        if target.unix is not None:
            return "localhost"
        name = target.address
        if ":" in name:
            return f"[{name.partition('%')[0]}]:{target.port}"
        return f"{_ascii(name)}:{target.port}"


def read_where(options: Options, known: Where | None = None) -> Where:
    """The server that an open names. `known`: the one that its `connection` goes to, which it need not name again.

    Raises Problem (`protocol-error`).
    """
    unix = options.system("unix", None)
    port = options.integer("port", None, least=1, most=65_535)
    address = options.system("address", None)
    tls = _read_tls(options)
    if unix is not None:
        _check_unix(options, unix)
    if address is not None and not _NAME.fullmatch(address):
        raise options.wrong("address", "the name or the address of a host")
    if known is not None:
        _check_same(options, known, unix=unix, port=port, address=address, tls=tls)
        return known
    if unix is not None:
        return Where(Target(unix=unix), None)
    if port is None:
        raise options.wrong("port" if address is not None else "unix", 'one of "unix" and "port"')
    return Where(Target(address="localhost" if address is None else address, port=port), tls)


def _check_unix(options: Options, unix: str) -> None:
    if not unix.startswith("/"):
        raise options.wrong("unix", "an absolute path")
    for other in ("port", "address", "tls"):
        if other in options:
            raise options.wrong(other, 'none beside "unix"')


def _check_same(
    options: Options, known: Where, *, unix: str | None, port: int | None, address: str | None, tls: Tls | None
) -> None:
    target = known.target
    given = {"unix": unix, "port": port, "address": address, "tls": tls}
    fixed = {"unix": target.unix, "port": target.port, "address": target.address, "tls": known.tls}
    if target.unix is not None:
        fixed.update(port=None, address=None)
    for name, value in given.items():
        if value is not None and value != fixed[name]:
            raise options.wrong(name, 'what the first open with this "connection" had')


def _read_tls(options: Options) -> Tls | None:
    found = options.members("tls", None)
    if found is None:
        return None
    certificate, key = _read_pem(found, "certificate"), _read_pem(found, "key")
    if key is not None and certificate is None:
        raise found.wrong("certificate", 'one for the "key"')
    return Tls(
        authority=_read_pem(found, "authority"),
        validate=found.boolean("validate", True),
        certificate=certificate,
        key=key,
    )


def _read_pem(tls: Options, name: str) -> Pem | None:
    found = tls.members(name, None)
    if found is None:
        return None
    file, data = found.system("file", None), found.text("data", None)
    if (file is None) == (data is None) or file == "":
        raise tls.wrong(name, 'an object with either "file" or "data"')
    return Pem(None if file is None else _from_here(file), data)


def _from_here(file: str) -> str:
    """Threads have no say in what the working directory is."""
    try:
        return os.path.join(os.getcwd(), file)
    except OSError:  # it is gone, and nothing is found in it
        return file


def _ascii(name: str) -> str:
    """A host name as it goes over the wire."""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        raise Problem(PROTOCOL_ERROR, '"address": expected the name of a host') from None
