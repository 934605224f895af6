"""asyncio and anyio without `ssl`, which both import and a session needs for nothing but HTTPS: 4.4 MiB of memory and
some 6 ms of the start. Whoever speaks TLS imports `ssl` then, and gets the real one."""

import sys
import types


def import_event_loop() -> None:
    """Import asyncio and anyio. Does nothing where either, or ssl, is there already."""
    if "ssl" in sys.modules or "asyncio" in sys.modules:
        return
    # Not there: asyncio goes without. There, and a class for whatever name is asked of it: anyio names some in
    # annotations and `except` clauses of its TLS streams, which we do not use.
    absent: types.ModuleType | None = None
    sys.modules["ssl"] = absent  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401

        stand_in = sys.modules["ssl"] = types.ModuleType("ssl")
        stand_in.__getattr__ = lambda name: type(name, (Exception,), {})  # type: ignore[method-assign]
        import anyio
        import anyio._backends._asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]
