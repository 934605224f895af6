"""What an extension may do, as it is told to whoever locks it in."""

import msgspec


class Cage(msgspec.Struct, frozen=True):
    """What one extension may do. Paths are absolute."""

    directory: str
    """Its own, to read."""
    files: str
    """To write."""
    memory_bytes: int
    descriptors: int
    files_bytes: int
    network: bool | tuple[int, ...] = False
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    run: bool = False
    program: str = ""
    """The program that it becomes; empty: it stays this interpreter."""
