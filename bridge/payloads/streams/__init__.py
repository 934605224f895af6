"""Payloads `stream` and `packet`: programs, terminals and sockets as channels (docs/streams.md).

stream       which of them an open asks for
program      a program on pipes, or in a terminal
ends         the two descriptors of either: what is read, what is written
launch       from an open to a running process
terminal     a new pseudoterminal, and a program in it
environment  what a program's environment is
programs     all programs of the session: how many, and how they end
exits        being told that a process has ended
output       what is read, sent in the front end's turns
stderr       what a program says on stderr: its end, and the log
socket       a connected stream socket
packet       a connected socket of records
"""
