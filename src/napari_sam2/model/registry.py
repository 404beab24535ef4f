"""What Meta published: eight checkpoints, where they are, and the names they are asked for by."""

from __future__ import annotations

from dataclasses import dataclass

#: Where Meta keeps them: https://github.com/facebookresearch/sam2#download-checkpoints
BASE_URL = "https://dl.fbaipublicfiles.com/segment_anything_2"

#: Meta's configs name a size by its letter.
_LETTERS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


@dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """A checkpoint that Meta published."""

    name: str  #: ours, which is that of its config, e.g. ``sam2.1_hiera_tiny``
    folder: str  #: where it lies below `BASE_URL`: the day of its release
    parameters: int
    sha256: str  #: of the file

    @property
    def file(self) -> str:
        """Name of the file, e.g. ``sam2.1_hiera_tiny.pt``."""
        return f"{self.name}.pt"

    @property
    def hub_id(self) -> str:
        """Name on the Hugging Face hub, e.g. ``facebook/sam2.1-hiera-tiny``."""
        return f"facebook/{self.name.replace('_', '-')}"

    @property
    def approximate_bytes(self) -> int:
        """Size of the file to about a thousandth: the parameters are float32."""
        return 4 * self.parameters

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it is known by: ours, the file's, the hub's, and Meta's of its config.

        Meta's code names a config with its folders since SAM 2.1, and without before.
        """
        generation, size = self.name.split("_hiera_")
        config = f"{generation}_hiera_{_LETTERS[size]}.yaml"
        return (self.name, self.file, self.hub_id, config, f"configs/{generation}/{config}")

    def url(self, mirror: str | None = None) -> str:
        """Say where the file is.

        Parameters
        ----------
        mirror : str, optional
            Address of a folder with Meta's files, instead of Meta's own. Where it has
            ``{file}``, ``{folder}`` or ``{hub_id}`` in it, these are filled in, and nothing is
            added.
        """
        pattern = mirror or f"{BASE_URL}/{{folder}}/{{file}}"
        if "{" not in pattern:
            pattern = f"{pattern.rstrip('/')}/{{file}}"
        for key in ("file", "folder", "hub_id"):
            pattern = pattern.replace(f"{{{key}}}", getattr(self, key))
        return pattern


#: The smaller first, the newer generation first.
PUBLISHED = (
    PublishedModel(
        name="sam2.1_hiera_tiny",
        folder="092824",
        parameters=38_962_498,
        sha256="7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    PublishedModel(
        name="sam2.1_hiera_small",
        folder="092824",
        parameters=46_060_354,
        sha256="6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    PublishedModel(
        name="sam2.1_hiera_base_plus",
        folder="092824",
        parameters=80_850_178,
        sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    PublishedModel(
        name="sam2.1_hiera_large",
        folder="092824",
        parameters=224_446_642,
        sha256="2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
    PublishedModel(
        name="sam2_hiera_tiny",
        folder="072824",
        parameters=38_945_986,
        sha256="65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
    ),
    PublishedModel(
        name="sam2_hiera_small",
        folder="072824",
        parameters=46_043_842,
        sha256="95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
    ),
    PublishedModel(
        name="sam2_hiera_base_plus",
        folder="072824",
        parameters=80_833_666,
        sha256="d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    ),
    PublishedModel(
        name="sam2_hiera_large",
        folder="072824",
        parameters=224_430_130,
        sha256="7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
    ),
)


def find_published(name: str) -> PublishedModel | None:
    """Find a model of Meta's by any of its `PublishedModel.names`; None if it is not Meta's."""
    return next((model for model in PUBLISHED if name in model.names), None)
