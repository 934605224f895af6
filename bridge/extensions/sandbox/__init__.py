"""What an extension's process may do, kept by the kernel: Landlock for files and ports, seccomp for system calls."""

from .cage import Cage
from .landlock import landlock_abi
from .restrict import restrict

__all__ = ["Cage", "landlock_abi", "restrict"]
