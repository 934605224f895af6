"""The users of the far side, each with what makes it worth a test."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from spanbridge.testing.frames import encode_control

from .farm import ADMINISTRATOR, Persona

BACKPORTS: Final = Path(os.environ.get("SPANBRIDGE_TESTS_BACKPORTS", "/var/cache/spanbridge-tests/backports"))
REFLECTOR: Final = Path(__file__).with_name("reflector.py").resolve()
ECHO: Final = Path(__file__).resolve().parents[2] / "bench/echo.c"
C_BRIDGE: Final = Path("/usr/bin/cockpit-bridge")
TOOLS: Final = ("sh", "bash", "env", "cat", "sleep")
"""Programs of a user who has no others; `python3` besides for some."""

_NOISE: Final = "echo Welcome to this machine\n"


def personas(spanbridge: Path, directory: Path) -> dict[str, Persona]:
    """By name. `directory` is the farm's."""
    ours = (("spanbridge", str(directory / "echo")),)  # what is over there matters to few tests; this starts at once
    no_password = ("PasswordAuthentication no",)
    bare = (f"SetEnv PATH={directory}/tools",)
    python = (f"SetEnv PATH={directory}/tools-python",)
    newer = f"#!/bin/sh\nPYTHONPATH={BACKPORTS}/usr/lib/python3/dist-packages exec /usr/bin/python3 -m cockpit.bridge\n"
    return {
        "alice": Persona(bridge=ours),
        ADMINISTRATOR: Persona(bridge=(("spanbridge", str(spanbridge)),)),
        "kbd": Persona(bridge=ours, config=no_password),
        "twofactor": Persona(bridge=ours, config=no_password),
        "keyed": Persona(bridge=ours, config=("AuthenticationMethods publickey",)),
        "both": Persona(bridge=ours, config=("AuthenticationMethods publickey,password",)),
        "expired": Persona(bridge=ours, expired=True),
        "forced": Persona(bridge=ours, key_options=f'command="{directory}/echo"'),
        "bannered": Persona(bridge=ours, config=(f"Banner {directory}/banner",)),
        "noisy": Persona(bridge=ours, files=((".bashrc", _NOISE),)),
        "endless": Persona(bridge=ours, files=((".bashrc", "while :; do echo yes; done\n"),)),
        "fish": Persona(login="/usr/bin/fish", bridge=ours, files=((".config/fish/config.fish", _NOISE),)),
        "tcsh": Persona(login="/usr/bin/tcsh", bridge=ours, files=((".tcshrc", _NOISE),)),
        "csh": Persona(login="/bin/csh", bridge=ours, files=((".cshrc", _NOISE),)),
        "zsh": Persona(login="/usr/bin/zsh", bridge=ours, files=((".zshenv", _NOISE),)),
        "nologin": Persona(login="/usr/sbin/nologin"),
        "nobridge": Persona(config=bare),
        "python": Persona(config=python),
        "otherpython": Persona(config=bare, files=(_other_python(),)),
        "cbridge": Persona(),
        "pybridge": Persona(config=python, files=((".local/bin/cockpit-bridge", newer),)),
        "failing": Persona(config=bare, files=((".local/bin/spanbridge", "#!/bin/sh\necho I cannot >&2\nexit 3\n"),)),
        "stranger": Persona(config=bare, files=(_saying(version=99999),)),
        "refusing": Persona(config=bare, files=(_saying(version=1, problem="access-denied", message="no"),)),
        "silent": Persona(config=bare, files=(_saying(version=1, problem="access-denied"),)),
        "reflecting": Persona(files=((".local/bin/spanbridge", f"#!/bin/sh\nexec /usr/bin/python3 {REFLECTOR}\n"),)),
        "deaf": Persona(files=(_saying("exec sleep 1000", version=1),)),
        "dumb": Persona(config=bare, files=((".local/bin/spanbridge", "#!/bin/sh\nexec sleep 1000\n"),)),
    }


def _other_python() -> tuple[str, str]:
    """A Python of another version, as far as can be told."""
    code = '"import sys; sys.version_info = (3, 1); $3"'
    return ".local/bin/python3", f"#!/bin/sh\nexec /usr/bin/python3 -I -c {code}\n"


def _saying(then: str = "exec cat >/dev/null", **members: object) -> tuple[str, str]:
    """A bridge that has an `init` of its own, and nothing else to say."""
    said = encode_control({"command": "init", **members}).decode().replace("\n", "\\n")
    return ".local/bin/spanbridge", f"#!/bin/sh\nprintf '{said}'\n{then}\n"


def tools(directory: Path) -> None:
    """The directories of programs that some of them are left with."""
    for name, programs in (("tools", TOOLS), ("tools-python", (*TOOLS, "python3"))):
        place = directory / name
        place.mkdir()
        for program in programs:
            (place / program).symlink_to(
                Path(sys.executable).resolve() if program == "python3" else f"/usr/bin/{program}"
            )
    command = ["cc", "-O1", "-std=gnu11", "-w", "-o", str(directory / "echo"), str(ECHO)]
    subprocess.run(command, check=True)  # a far bridge that costs next to nothing
    (directory / "banner").write_text("Host key verification failed.\nAuthorized use only\n")
