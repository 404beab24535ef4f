"""Faces with Meta's names, arguments and results, for code that was written for `sam2`.

Positions are (x, y) here, as there.
"""
