"""What the pages of storage and of software updates speak with when they load: a disk, and no updates."""

from itertools import count
from typing import Final

from dbus_fast import Message, Variant

from ..dbus.service import INTROSPECTABLE, Service, Tree

UDISKS: Final = "org.freedesktop.UDisks2"
PACKAGE_KIT: Final = "org.freedesktop.PackageKit"

_ROOT: Final = "/org/freedesktop/UDisks2"
_DRIVE: Final = f"{_ROOT}/drives/stand_in"
_EXIT_SUCCESS: Final = 1

_END: Final = "_stand_in"
"""How the paths of transactions end."""
_TRANSACTION: Final = f"{PACKAGE_KIT}.Transaction"
_DESCRIPTION: Final = f"""<node><interface name="{_TRANSACTION}">
<method name="SetHints"><arg type="as" direction="in"/></method>
<method name="GetUpdates"><arg type="t" direction="in"/></method>
<method name="Resolve"><arg type="t" direction="in"/><arg type="as" direction="in"/></method>
<signal name="Finished"><arg type="u"/><arg type="u"/></signal>
</interface></node>"""


def storage() -> Tree:
    """One disk of 1 GB, with an empty block device."""
    block = {
        "Device": Variant("ay", b"/dev/standin\0"),
        "PreferredDevice": Variant("ay", b"/dev/standin\0"),
        "Symlinks": Variant("aay", []),
        "DeviceNumber": Variant("t", 1),
        "Id": Variant("s", "stand-in"),
        "Size": Variant("t", 10**9),
        "ReadOnly": Variant("b", False),
        "Drive": Variant("o", _DRIVE),
        "MDRaid": Variant("o", "/"),
        "MDRaidMember": Variant("o", "/"),
        "CryptoBackingDevice": Variant("o", "/"),
        "IdUsage": Variant("s", ""),
        "IdType": Variant("s", ""),
        "IdVersion": Variant("s", ""),
        "IdLabel": Variant("s", ""),
        "IdUUID": Variant("s", ""),
        "Configuration": Variant("a(sa{sv})", []),
        "HintPartitionable": Variant("b", True),
        "HintIgnore": Variant("b", False),
        "HintSystem": Variant("b", True),
        "HintAuto": Variant("b", False),
        "HintName": Variant("s", ""),
        "HintIconName": Variant("s", ""),
        "HintSymbolicIconName": Variant("s", ""),
        "UserspaceMountOptions": Variant("as", []),
    }
    drive = {
        "Vendor": Variant("s", "Stand-in"),
        "Model": Variant("s", "Disk of a test"),
        "Revision": Variant("s", "1"),
        "Serial": Variant("s", "S1"),
        "WWN": Variant("s", ""),
        "Id": Variant("s", "stand-in"),
        "Configuration": Variant("a{sv}", {}),
        "Media": Variant("s", ""),
        "MediaCompatibility": Variant("as", []),
        "MediaRemovable": Variant("b", False),
        "MediaAvailable": Variant("b", True),
        "Size": Variant("t", 10**9),
        "RotationRate": Variant("i", 0),
        "ConnectionBus": Variant("s", ""),
        "Seat": Variant("s", "seat0"),
        "Removable": Variant("b", False),
        "Ejectable": Variant("b", False),
        "SortKey": Variant("s", "a"),
    }
    manager = {"Version": Variant("s", "2.9.4"), "SupportedFilesystems": Variant("as", ["ext4"])}
    return Tree(
        {
            f"{_ROOT}/Manager": {f"{UDISKS}.Manager": manager},
            _DRIVE: {f"{UDISKS}.Drive": drive},
            f"{_ROOT}/block_devices/standin": {f"{UDISKS}.Block": block},
        },
        manager=_ROOT,
        methods={
            (f"{UDISKS}.Manager", "EnableModules"): ("b", "", lambda _: []),
            (f"{UDISKS}.Manager", "EnableModule"): ("s b", "", lambda *_: []),
            (f"{UDISKS}.Manager", "CanFormat"): ("s", "(bs)", lambda _: [[False, ""]]),
            (f"{UDISKS}.Manager", "CanCheck"): ("s", "(bs)", lambda _: [[False, ""]]),
            (f"{UDISKS}.Manager", "CanRepair"): ("s", "(bs)", lambda _: [[False, ""]]),
            (f"{UDISKS}.Manager", "CanResize"): ("s", "(bts)", lambda _: [[False, 0, ""]]),
        },
    )


class PackageKit:
    """Every transaction finds nothing, and has been successful at once."""

    def __init__(self) -> None:
        self.roles: list[str] = []
        self._numbers = count()
        self._tree = Tree(
            {"/org/freedesktop/PackageKit": {PACKAGE_KIT: {"VersionMajor": Variant("u", 1)}}},
            methods={
                (PACKAGE_KIT, "CreateTransaction"): ("", "o", lambda: [f"/{next(self._numbers)}{_END}"]),
                (PACKAGE_KIT, "GetTimeSinceAction"): ("u", "u", lambda _: [5]),
                (PACKAGE_KIT, "GetTransactionList"): ("", "ao", lambda: [[]]),
            },
        )

    def __call__(self, service: Service, message: Message) -> Message | None:
        if message.interface == INTROSPECTABLE and str(message.path).endswith(_END):
            return Message.new_method_return(message, "s", [_DESCRIPTION])
        if message.interface != _TRANSACTION:
            return self._tree(service, message)
        service.send(Message.new_method_return(message))
        if message.member != "SetHints":
            self.roles.append(str(message.member))
            service.emit(str(message.path), _TRANSACTION, "Finished", "uu", _EXIT_SUCCESS, 1)
        return None
