"""The parts of the dock, one small widget each."""
