"""Generated microscopy with exact instance masks, for training."""

from napari_sam2.training.synthetic.options import Modality, SceneOptions
from napari_sam2.training.synthetic.scene import Scene, generate_scene

__all__ = ["Modality", "Scene", "SceneOptions", "generate_scene"]
