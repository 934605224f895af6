"""Memory for large messages, which is kept for the next one instead of being given back to the kernel with each."""

from typing import Final

from ..base import Services

_BLOCK_BYTES: Final = 4 << 20


def keep_heap(services: Services) -> None:
    """Once a session (Services.once).

    glibc gives the end of the heap back whenever as much is free there as twice the largest block that it had mapped by
    itself and has released (mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, which follow that). With messages of
    64 KiB that is after every other one, and all pages of the next are made anew, which took a third of its time. To
    map and release one block, which nobody touches, moves the bound: at most 8 MiB stay.
    """
    bytearray(_BLOCK_BYTES)
