# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of parameters in weights files, which are part of the file format."""

from __future__ import annotations

RENAMED_PARTS = {
    "centre": "center",
    "colours": "colors",
    "recognition.compare": "grid_encoder.blocks",
    "recognition": "grid_encoder",
    "recognise": "feature_layers",
    "recognize": "feature_layers",
    "tell": "embed_context",
    "before": "norm",
    "place": "spatial",
    "think": "mlp",
    "weigh": "gate",
    "refer": "reference_attention",
    "vote": "residual_head",
    "doubt": "log_ridge",
}
"""Parts of parameter names in weights saved by earlier versions, and their present names; longer parts come first."""


def current_name(parameter: str) -> str:
    """Return a parameter's present name, from its name in weights saved by any version."""
    name = f".{parameter}."
    for before, now in RENAMED_PARTS.items():
        name = name.replace(f".{before}.", f".{now}.")
    return name[1:-1]
