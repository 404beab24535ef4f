"""Training of small promptable models: generated images, simulated clicks, losses."""
