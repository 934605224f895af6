"""`/config`: values of cockpit.conf."""

from typing import Final

from ..base import Services
from .bus import Outlet
from .cockpit_conf import CockpitConf
from .errors import BusError
from .interface import method

KEY_ERROR: Final = "cockpit.Config.KeyError"


class Config:
    """`cockpit.Config`."""

    interface = "cockpit.Config"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._conf = services.once(CockpitConf)

    @method("GetString", "s section, s key", "s value")
    def get_string(self, section: str, key: str) -> str:
        value = self._conf.get(section, key)
        if value is None:
            raise BusError(KEY_ERROR, f"key {key} in section {section} does not exist")
        return value

    @method("GetUInt", "s section, s key, u default, u max, u min", "u value")
    def get_uint(self, section: str, key: str, default: int, most: int, least: int) -> int:
        return self._conf.number(section, key, default, most, least)

    @method("Reload")
    def reload(self) -> None:
        self._conf.reload()
