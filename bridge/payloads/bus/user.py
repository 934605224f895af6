"""`/user`: who the session's user is."""

from ..base import Services
from .account import account
from .bus import Outlet
from .interface import readable


class User:
    """`cockpit.User`."""

    interface = "cockpit.User"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._account = services.once(account)

    @readable("Name", "s")
    def name(self) -> str:
        return self._account.name

    @readable("Full", "s")
    def full(self) -> str:
        return self._account.full_name

    @readable("Id", "x")
    def id(self) -> int:
        return self._account.uid

    @readable("Gid", "x")
    def gid(self) -> int:
        return self._account.gid

    @readable("Home", "s")
    def home(self) -> str:
        return self._account.home

    @readable("Shell", "s")
    def shell(self) -> str:
        return self._account.shell

    @readable("Groups", "as")
    def groups(self) -> list[str]:
        return list(self._account.groups)
