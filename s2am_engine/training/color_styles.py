# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured styles for recoloring: film styles, retouchers' presets, and camera responses, read from a folder."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2am_common.errors import FileError
from s2am_engine.networks.curves import interpolate_curves
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.presets import preset_table
from s2am_engine.training.relight import MID_GRAY_SHOWN

TABLES, PRESETS, RESPONSES = "luts.npz", "presets.csv", "camera_responses.npz"
DAMAGED_ARRAYS = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile)
"""Errors of NumPy for a missing or damaged file of arrays."""
TABLE_SIDE = 17  # nodes per axis of a look-up table
KNOTS = 257  # of a camera's response
WEAKEST_FILM, STRONGEST_FILM = 0.15, 0.8  # films are applied in part, for most are strong
WEAKEST_PRESET, STRONGEST_PRESET = 0.4, 1.1


@dataclass(frozen=True)
class ColorStyles:
    """Film styles and presets as look-up tables, and camera responses; all on one device."""

    films: Tensor  # (F, 3, 17, 17, 17) uint8, indexed [red, green, blue]
    presets: Tensor  # (P, 3, 17, 17, 17) uint8, likewise
    light: Tensor  # (R, K): irradiance for uniform image values, both in [0, 1]
    shown: Tensor  # (R, K): image value for uniform square roots of the irradiance

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> ColorStyles:
        """Read the styles of a folder.

        Args:
            folder: it holds `luts.npz` (`luts`: (F, 17, 17, 17, 3) uint8, sRGB), `presets.csv` (a preset per line,
                the names of Lightroom's settings in the first line) and `camera_responses.npz` (`irradiance` and
                `brightness`: (R, N) in [0, 1]).
            device: where the styles are applied.

        Raises:
            FileError: a file is missing or has other content.
        """
        try:
            with np.load(folder / TABLES) as content:
                films = torch.from_numpy(content["luts"]).permute(0, 4, 1, 2, 3).contiguous()
            with (folder / PRESETS).open(encoding="utf-8", newline="") as file:
                presets = torch.from_numpy(np.stack([_as_bytes(preset) for preset in csv.DictReader(file)]))
            with np.load(folder / RESPONSES) as content:
                light, shown = response_tables(content["irradiance"], content["brightness"])
        except DAMAGED_ARRAYS as error:
            raise FileError(
                f"{folder} does not hold styles ({error}): name a folder with {TABLES}, {PRESETS} and {RESPONSES}.",
                code="training.styles",
                path=str(folder),
            ) from error
        return cls(*(table.to(device) for table in (films, presets, light, shown)))

    def apply_film(self, pictures: Tensor, strength: Tensor, rng: BatchRNG) -> Tensor:
        """Apply a random film look to each image (B, 3, H, W), in part; `strength` (B, 1, 1, 1) scales that part."""
        amount = (strength * rng.uniform_between(WEAKEST_FILM, STRONGEST_FILM)).clamp(0, 1)
        return torch.lerp(pictures, apply_tables(pictures, self.films[rng.integers(len(self.films))]), amount)

    def apply_preset(self, pictures: Tensor, strength: Tensor, rng: BatchRNG) -> Tensor:
        """Apply a random preset to each image (B, 3, H, W), to a random degree."""
        amount = (strength * rng.uniform_between(WEAKEST_PRESET, STRONGEST_PRESET)).clamp(0, 1.2)
        shown = apply_tables(pictures, self.presets[rng.integers(len(self.presets))])
        return torch.lerp(pictures, shown, amount).clamp(0, 1)

    def change_response(self, pictures: Tensor, rng: BatchRNG) -> Tensor:
        """Show each image (B, 3, H, W) as another camera would: the light decoded by one response, encoded by another.

        The exposure keeps middle gray.
        """
        taken, shown = (rng.integers(len(self.light)) for _ in range(2))
        gray = round(MID_GRAY_SHOWN * (KNOTS - 1))
        decode, exposure = self.light[taken], (self.light[shown, gray] / self.light[taken, gray].clamp_min(1e-4))
        light = interpolate_curves(decode.unsqueeze(1).expand(-1, 3, -1), pictures.flatten(2))
        light = (light * exposure.view(-1, 1, 1)).clamp(0, 1)
        encode = self.shown[shown].unsqueeze(1).expand(-1, 3, -1)
        return interpolate_curves(encode, light.sqrt()).view_as(pictures)


def apply_tables(pictures: Tensor, tables: Tensor) -> Tensor:
    """Apply a look-up table (B, 3, S, S, S) of uint8 to each image (B, 3, H, W) in [0, 1], trilinearly."""
    # grid_sample's coordinates are in the order of the last axis first: blue, green, red.
    grid = (pictures.clamp(0, 1) * 2 - 1).flip(1).permute(0, 2, 3, 1).unsqueeze(1)
    return F.grid_sample(tables.to(pictures.dtype) / 255, grid, align_corners=True).squeeze(2)


def response_tables(irradiance: NDArray[np.floating], brightness: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
    """Resample camera responses, (R, N) each in [0, 1] and increasing, to the tables of `ColorStyles`."""
    uniform = np.linspace(0, 1, KNOTS)
    light = [np.interp(uniform, shown, taken) for taken, shown in zip(irradiance, brightness, strict=True)]
    values = [np.interp(uniform**2, taken, shown) for taken, shown in zip(irradiance, brightness, strict=True)]
    return torch.tensor(np.stack(light)).float(), torch.tensor(np.stack(values)).float()


def _as_bytes(preset: Mapping[str, str]) -> NDArray[np.uint8]:
    """Return a preset's table as (3, 17, 17, 17) uint8."""
    return (preset_table(preset, TABLE_SIDE) * 255).round().astype(np.uint8).transpose(3, 0, 1, 2)
