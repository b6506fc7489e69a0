# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference photographs: the foreground is matched to their look as well as to its own background."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from s2am_common.errors import ImageError
from s2am_common.references import MAX_REFERENCES
from s2am_engine.inference.inputs import ImageLike, convert_image, is_one_image
from s2am_engine.inference.network_input import NetworkInput, reduce_image
from s2am_engine.types import Floats


@dataclass(frozen=True, eq=False)
class References:
    """One to twenty photographs at the size of a network's input, for any number of composites.

    images: N×N×3 sRGB in [0, 1] each.
    """

    images: Sequence[Floats] = field(repr=False)

    @classmethod
    def reduce(
        cls, photographs: Iterable[ImageLike] | ImageLike, size: int, progress: Callable[[int], None] = lambda _: None
    ) -> References:
        """Read and reduce photographs one by one.

        Args:
            photographs: images of any supported type, or paths; or a single one.
            size: N, see `Harmonizer.input_size`.
            progress: called with the number of each photograph, from 1 on, before it is read; may raise to cancel.

        Raises:
            ImageError: none or too many photographs, or one that cannot be used.
            FileError: a file that cannot be read.
        """
        images = []
        several = cast("Iterable[ImageLike]", [photographs] if is_one_image(photographs) else photographs)
        for number, photograph in enumerate(several, start=1):
            if number > MAX_REFERENCES:
                raise ImageError(
                    f"There are more than {MAX_REFERENCES} reference photographs: give fewer of them, "
                    "or fine-tune a model on them.",
                    code="image.references",
                )
            progress(number)
            images.append(reduce_image(convert_image(photograph).data, size))
        if not images:
            raise ImageError("There is no reference photograph: give at least one.", code="image.references")
        return cls(images)

    def place_behind(self, network_input: NetworkInput) -> list[NetworkInput]:
        """Return network inputs in which each photograph replaces the background."""
        mask = network_input.mask[..., None]
        foreground = network_input.composite * mask
        return [dataclasses.replace(network_input, composite=foreground + image * (1 - mask)) for image in self.images]
