"""What `${libexecdir}` in manifests stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .directories import libexecdir
from .raw import Document


class Libexecdir:
    """Fills it in.

    askpass: takes the place of `${libexecdir}/cockpit-askpass`. libexec: asked once for the directory, if it is needed.
    """

    def __init__(self, askpass: str, libexec: Callable[[], str] = libexecdir) -> None:
        self._askpass = askpass
        self._libexec = libexec
        self._path: str | None = None

    def fill_in(self, manifest: dict[str, Any], documents: Iterable[Document]) -> dict[str, Any]:
        """The manifest that these documents make, with the directory in place. It is not changed itself."""
        # Most manifests do not mention it: a look at the bytes saves a walk. An escape may spell it too.
        if not any(b"libexecdir" in document.data or b"\\u" in document.data for document in documents):
            return manifest
        return {self._filled(name): self._filled(value) for name, value in manifest.items()}

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value) if "${libexecdir}" in value else value
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        if isinstance(value, dict):
            return {self._filled(name): self._filled(inner) for name, inner in value.items()}
        return value

    def _text(self, text: str) -> str:
        if self._path is None:
            self._path = self._libexec()
        before, *rest = text.split("${libexecdir}")
        for after in rest:
            if before.endswith("\\"):  # an escaped one is for the template to make plain text of
                before += "${libexecdir}" + after
            elif after == "/cockpit-askpass":
                before += self._askpass
            else:
                before += self._path + after
        return before
