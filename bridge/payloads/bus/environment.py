"""`/environment`: the environment that the bridge was started with, and that helpers get."""

from ..base import Services
from .bus import Outlet
from .interface import readable
from .login_messages import VARIABLE
from .values import as_utf8


class Environment:
    """`cockpit.Environment`."""

    interface = "cockpit.Environment"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._variables = {
            as_utf8(name): as_utf8(value) for name, value in services.environ.items() if name != VARIABLE
        }

    @readable("Variables", "a{ss}")
    def variables(self) -> dict[str, str]:
        return self._variables
