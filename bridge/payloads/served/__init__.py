"""What all channels have in common that the bridge serves itself (docs/protocol.md, "Channels that the bridge serves").

options        what an open asks for, checked before anything is done
channel        the life of one channel, with callbacks: for what moves bytes
conversation   the same as an async function with a channel: for what answers questions
backlog        what waits for all such channels, and how long it may
jobs           blocking work, in threads
"""
