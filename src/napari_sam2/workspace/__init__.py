"""What a session holds, and the one door through which it changes, with undo."""
