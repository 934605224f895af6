"""Certificates made for a test, by the openssl program."""

import subprocess
from pathlib import Path
from shutil import which
from typing import NamedTuple

from ..missing import lack


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.certificate.read_text()


class Maker:
    """Makes them in `directory`. The first is an authority."""

    def __init__(self, directory: Path) -> None:
        if which("openssl") is None:
            lack("needs Debian's openssl")
        self._directory = directory
        self.authority = self.make("authority", ca=True)

    def make(
        self,
        name: str,
        *,
        names: str = "",
        ca: bool = False,
        by: Pair | None = None,
        common: str = "",
        expired: bool = False,
    ) -> Pair:
        """`names`: subjectAltName; `by`: who signs, itself if nobody; `common`: its CN, else `name`."""
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        asked, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        subject = ["-subj", f"/CN={common or name}", "-keyout", str(pair.key), "-out", str(asked)]
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *subject)
        lines = [f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}"]
        lines += [f"subjectAltName={names}"] if names else []
        extensions.write_text("\n".join(lines))
        signer = ["-signkey", str(pair.key)]
        if by is not None:
            signer = ["-CA", str(by.certificate), "-CAkey", str(by.key), "-CAcreateserial"]
        out = ["-out", str(pair.certificate), "-extfile", str(extensions)]
        _openssl("x509", "-req", "-in", str(asked), *(_expired() if expired else ["-days", "10"]), *signer, *out)
        return pair


def _expired() -> list[str]:
    """The options for dates of the past: since 3.4 a number of days below 0 is refused, and dates are taken."""
    told = subprocess.run(["openssl", "version"], check=True, capture_output=True, text=True).stdout
    major, minor = told.split()[1].split(".")[:2]
    if (int(major), int(minor)) < (3, 4):
        return ["-days", "-1"]
    return ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
