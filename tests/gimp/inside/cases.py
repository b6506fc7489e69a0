# SPDX-License-Identifier: GPL-3.0-or-later
"""All cases in one GIMP; importing them runs them, the one without an engine first."""

from importlib import import_module

from tests.gimp.inside import support

for part in ("results", "retouching", "recognition", "depths", "shadows", "edges", "finishes"):
    import_module(f"tests.gimp.inside.{part}")
support.finish()
