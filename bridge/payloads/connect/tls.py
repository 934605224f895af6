"""What an open says of TLS (docs/http.md, "TLS"). Nothing here needs the library: most channels have no TLS."""

import msgspec


class Pem(msgspec.Struct, frozen=True):
    """Certificates or a key: an absolute path, or the text itself, which is never shown."""

    file: str | None
    data: str | None

    def __repr__(self) -> str:
        return f"Pem({self.file or 'data'!r})"


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """What the `tls` of an open says."""

    authority: Pem | None = None
    validate: bool = True
    certificate: Pem | None = None
    key: Pem | None = None
