# SPDX-License-Identifier: GPL-3.0-or-later
"""ICC profiles: conversion of an image's own colors to sRGB, the input of the networks, and back.

Conversions are relative colorimetric with black point compensation, by LittleCMS: through Pillow for 8 bits and sRGB,
through imagecodecs for other depths and between two profiles. A profile that cannot be read or converted in both
directions (CMYK, damaged, a scanner's one-way table) counts as sRGB.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from imagecodecs import CMS, CmsError, cms_transform
from numpy.typing import NDArray
from PIL import Image, ImageCms

from s2am_engine.types import Bytes, Pixels

_STRIP = 2**20  # pixels to convert at a time

_SPACES = {b"RGB ": "rgb", b"GRAY": "gray"}

_Transform = ImageCms.ImageCmsTransform


def is_srgb(profile: bytes | None) -> bool:
    """Return whether a profile is sRGB: None, unreadable, or within one 8-bit level of it.

    Compares a 9×9×9 grid of converted colors, not names: there are dozens of sRGB profiles.
    """
    return profile is None or _acts_like_srgb(profile)


def fitting_profile(profile: bytes | None, gray: bool) -> bytes | None:
    """Return a profile if it is for a gray or color image, else None; a gray image may also have one for colors."""
    spaces = (b"RGB ", b"GRAY") if gray else (b"RGB ",)
    return profile if profile and profile[16:20] in spaces else None


def to_srgb(pixels: Bytes, profile: bytes | None) -> Bytes:
    """Convert 8-bit RGB (H×W×3 or N×3) from a profile to sRGB; colors outside of sRGB are clipped.

    With a gray profile, the first of three equal channels counts. sRGB pixels are returned as they are, not copied.
    Raises ValueError for other shapes and types.
    """
    _check(pixels)
    return pixels if profile is None or is_srgb(profile) else _converted(pixels, profile, 0)


def from_srgb(pixels: Bytes, profile: bytes | None) -> Bytes:
    """Convert 8-bit sRGB (H×W×3 or N×3) to a profile, the reverse of `to_srgb`; a gray profile gives gray."""
    _check(pixels)
    return pixels if profile is None or is_srgb(profile) else _converted(pixels, profile, 1)


def convert(pixels: Pixels, source: bytes | None, target: bytes | None) -> Pixels:
    """Convert H×W×3 or N×3 pixels of any depth from one profile to another, without the detour through sRGB.

    With a gray profile, the first of three equal channels counts; three equal ones are returned. Pixels of the same
    space are returned as they are, not copied.
    """
    if source == target or (is_srgb(source) and is_srgb(target)):
        return pixels
    profiles = [profile if profile and _transforms(profile) else _srgb_profile() for profile in (source, target)]
    spaces = [_SPACES[profile[16:20]] for profile in profiles]
    flat = pixels.reshape(-1, 3)
    out = np.empty_like(flat)
    for start in range(0, len(flat), _STRIP):
        part = flat[start : start + _STRIP]
        own = part[:, 0] if spaces[0] == "gray" else part
        found = _lcms(np.ascontiguousarray(own)[None], profiles[0], profiles[1], *spaces)
        out[start : start + _STRIP] = found.reshape(len(part), -1)
    return out.reshape(pixels.shape)


def convert_cmyk(samples: NDArray[Any], profile: bytes | None) -> Pixels | None:
    """Convert H×W×4 CMYK samples (full scale = full ink) to sRGB of the same depth; None without a usable profile."""
    if profile is None or profile[16:20] != b"CMYK":
        return None
    out = np.empty((*samples.shape[:2], 3), samples.dtype)
    step = max(1, _STRIP // samples.shape[1])
    try:
        for top in range(0, len(samples), step):
            part = np.ascontiguousarray(samples[top : top + step])
            out[top : top + step] = _lcms(part, profile, _srgb_profile(), "cmyk", "rgb").reshape(*part.shape[:2], 3)
    except (CmsError, ValueError):
        return None
    return out


def _lcms(samples: NDArray[Any], source: bytes, target: bytes, space: str, target_space: str) -> NDArray[Any]:
    return np.asarray(
        cms_transform(
            samples,
            source,
            target,
            colorspace=space,
            outcolorspace=target_space,
            outdtype=samples.dtype.name,
            intent=CMS.INTENT.RELATIVE_COLORIMETRIC,
            # Optimized transforms of 16 bits interpolate in a coarse table, with errors of up to 5 levels of 8 bits.
            flags=CMS.FLAGS.BLACKPOINTCOMPENSATION | CMS.FLAGS.NOOPTIMIZE,
        )
    )


@functools.lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _check(pixels: NDArray[Any]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[-1] != 3:
        raise ValueError(f"pixels must be uint8 H×W×3 or N×3, not {pixels.dtype} {pixels.shape}")


@functools.lru_cache(maxsize=16)
def _transforms(profile: bytes) -> tuple[_Transform, _Transform] | None:
    """Return the transforms to sRGB and from it; None if the profile is unusable."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L"}[own.profile.xcolor_space.strip()]
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        return (
            ImageCms.ImageCmsTransform(own, srgb, mode, "RGB", intent, flags=flags),
            ImageCms.ImageCmsTransform(srgb, own, "RGB", mode, intent, flags=flags),
        )
    except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError):
        return None


@functools.lru_cache(maxsize=16)
def _acts_like_srgb(profile: bytes) -> bool:
    transforms = _transforms(profile)
    if transforms is None:
        return True
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid: Bytes = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    if transforms[0].input_mode == "L":
        grid = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    found = _converted(grid, profile, 0)
    return int(np.abs(found.astype(np.int16) - grid).max()) <= 1


def _converted(pixels: Bytes, profile: bytes, direction: int) -> Bytes:
    transforms = _transforms(profile)
    if transforms is None:
        return pixels
    transform = transforms[direction]
    flat = pixels.reshape(-1, 3)
    out = np.empty_like(flat)
    for start in range(0, len(flat), _STRIP):
        part = flat[start : start + _STRIP]
        source = part[:, 0] if transform.input_mode == "L" else part
        image = Image.fromarray(np.ascontiguousarray(source)[None])
        out[start : start + _STRIP] = np.asarray(transform.apply(image)).reshape(len(part), -1)
    return out.reshape(pixels.shape)
