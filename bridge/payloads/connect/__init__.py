"""Connecting to sockets of others, without ever holding up the event loop.

target    where to: a unix socket, or a host and a port
names     from a host name to addresses
problems  from the system's errors to problem codes
connect   from a target to a connected socket
tls       what an open says of TLS
certificates  what that makes of files, certificates and keys
handshake from a connected socket to one with TLS
"""
