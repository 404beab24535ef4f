"""Session files: nothing lost when written, all equal when read."""
