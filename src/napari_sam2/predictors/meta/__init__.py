"""Faces of Meta's API: its names, arguments and results, over our engine.

Positions are (x, y) here, as they are there, and nowhere else outside of
`napari_sam2.predictors.transforms`.
"""
