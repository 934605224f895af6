"""One channel through a bridge, for `spanbridge open`: `connection` to the bridge, `talk` on the channel."""
