"""The way of a byte: links, the poller, and the whole of a session between two ends that the test holds."""
