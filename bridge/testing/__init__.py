"""A kit for testing the bridge, and helpers, through real processes.

    bridge       a `spanbridge` process on temporary packages, in an environment of its own
    front_end    the other end of its stdin and stdout: sends frames, waits for frames
    frames       frames as bytes, read and written without any code of the bridge
    home         the directories that a bridge looks into: packages, overrides
    script       what a fake helper is to do, as a list of steps
    fake_helper  the program that does it
    gate         holds a fake helper until it is released
    scripted     fake helpers of a bridge that runs
    start        bridges that end with a test
    tail         a file that grows, and waiting for a line of it
    processes    children, memory and descriptors of a process, read from /proc
    plugin       all of it as pytest fixtures

Nothing here sleeps. What has to be waited for is a frame, a line, a released gate or the end of a process; each wait
has a deadline, which is there to end a test that hangs and never decides whether one passes.
"""
