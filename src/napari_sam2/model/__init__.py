"""The network: torch only, no files but configs and weights, no state between frames."""
