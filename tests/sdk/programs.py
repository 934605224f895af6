"""Helpers of one kind each: `programs.py KIND`. Tests start them as processes."""

import atexit
import os
import sys

import anyio

from spanbridge.sdk import Channel, HelperLimits, Problem, log, open_helper, refuse, run, run_main

if os.environ.get("PRINT_AT_ONCE"):
    print("printed before anything runs")
    os.write(1, b"written before anything runs\n")


async def echo(channel: Channel) -> None:
    await channel.ready(pid=os.getpid())
    async for payload in channel:
        await channel.send(payload)
    await channel.done()


async def noisy(channel: Channel) -> None:
    """Prints, in all ways, while it echoes, and at exit."""
    atexit.register(print, "at exit")
    await channel.ready()
    async for payload in channel:
        print("printed", payload)
        sys.stdout.write("written")
        sys.stdout.flush()
        os.write(1, b" to fd 1\n")
        await anyio.run_process(["sh", "-c", "echo from a child; cat"], stdin=None, stdout=None)
        sys.stdout.write("not flushed")
        await channel.send(payload)
    await channel.done()


async def failing(channel: Channel) -> None:
    await channel.ready()
    async for payload in channel:
        if payload == b"problem":
            raise Problem("not-found", "there is no such thing")
        if payload == b"raise":
            raise ZeroDivisionError("of zero")
        await channel.send(payload)


async def last_words(channel: Channel) -> None:
    await channel.ready()
    try:
        await anyio.sleep_forever()
    finally:
        log(f"cleaned up {channel.id}")


async def flood(channel: Channel) -> None:
    """As many bytes as the open asks for, in frames of 1000."""
    for _ in range(channel.options["frames"]):
        await channel.send(b"x" * 1_000)
    await channel.done()


async def gated(channel: Channel) -> None:
    """An echo that begins when the gate of its open is released, if it has one."""
    await channel.ready()
    if "gate" in channel.options:
        await anyio.to_thread.run_sync(wait_at, channel.options["gate"])
    async for payload in channel:
        await channel.send(payload)


def wait_at(gate: str) -> None:
    fd = os.open(gate, os.O_RDONLY)
    os.read(fd, 1)
    os.close(fd)


async def one_by_one() -> None:
    """Without `run`, and without a task for each channel."""
    async with open_helper(limits=HelperLimits(channels=10)) as helper:
        async for channel in helper:
            async with channel:
                await channel.send(f"{helper.host} {channel.id}")


HANDLERS = {
    "echo": echo,
    "noisy": noisy,
    "failing": failing,
    "last-words": last_words,
    "flood": flood,
    "gated": gated,
}


def main(kind: str) -> int:
    if kind == "refusing":
        return refuse("not-found", "no such database", path="/nowhere")
    if kind == "one-by-one":
        return run_main(one_by_one)
    return run(HANDLERS[kind])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
