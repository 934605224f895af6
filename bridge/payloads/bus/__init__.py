"""`dbus-json3`: one front half, and two buses behind it.

channel        messages of JSON in and out, whatever is behind: order, pace, answers
inside         the bridge's own objects: bus, node, interface, standard, introspect; a file for each object
outside        a real bus or a peer, for one channel: place, calls, signals, watches, publishing

What channels of a real bus share, from the socket up:

values         types, and values as JSON; marshal, unmarshal, slices: as bytes; message: with their header
addresses, authentication, connecting, buses    from the open's options to a connection
stream         a socket as messages
connection     calls and answers, signals, who is told; lanes: what one peer says is heeded in its order
rules, owners  what the bus is asked to tell, and who has which name
peer           one service: descriptions (introspection, meta) and cache, its properties
publish        objects that front ends offer; descriptors: those that came, until somebody opens them
"""
