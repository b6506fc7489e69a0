# SPDX-License-Identifier: GPL-3.0-or-later
"""Array types of the engine; shapes and ranges are in the docstrings of the functions that take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""H×W×3 RGB (or H×W×4 with alpha), uint8, uint16 or float32 in nominal [0, 1]."""

Mask = NDArray[Any]
"""H×W, 0 = background, full scale (255, 65535, 1.0 or True by its dtype) = foreground."""

Bytes = NDArray[np.uint8]
"""Any shape, uint8."""

Floats = NDArray[np.float32]
"""Any shape, float32, mostly in [0, 1]."""

Doubles = NDArray[np.floating[Any]]
"""Any shape, float64 (NumPy's own types promise no more of a solution of linear equations)."""

FractionCallback = Callable[[float], None]
"""Called with the fraction done, 0 to 1; may raise to cancel."""
