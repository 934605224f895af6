"""`/packages`: what is installed."""

import msgspec

from ..base import Services
from .bus import Outlet
from .interface import method, readable


class Packages:
    """`cockpit.Packages`."""

    interface = "cockpit.Packages"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._services = services
        self._outlet = outlet
        self._hinted = False
        self._manifests = self._read()
        services.on_reload.append(self._reloaded)

    @readable("Manifests", "s")
    def manifests(self) -> str:
        """A JSON object: package name -> manifest."""
        return self._manifests

    @method("Reload")
    def reload(self) -> None:
        self._services.reload()

    @method("ReloadHint")
    def reload_hint(self) -> None:
        """The front end starts to use the manifests. The first time they have just been read."""
        if self._hinted:
            self._services.reload()
        self._hinted = True

    def _read(self) -> str:
        manifests = {package.name: package.manifest for package in self._services.catalog().packages}
        return msgspec.json.encode(manifests).decode()

    def _reloaded(self) -> None:
        before, self._manifests = self._manifests, self._read()
        if self._manifests != before:
            self._outlet.changed("Manifests")
