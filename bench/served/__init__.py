"""What a bridge serves itself: files, programs, sockets, HTTP, D-Bus, metrics, measured beside other bridges."""
