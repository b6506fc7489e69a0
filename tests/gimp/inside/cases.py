# SPDX-License-Identifier: GPL-3.0-or-later
"""All cases, in one GIMP; importing them runs them, the one without an engine first."""

from tests.gimp.inside import support

support.finish()
