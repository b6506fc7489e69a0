# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing that the doctor looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Check:
    """What was found: `state` "note" is worth knowing and no fault.

    mend: the command that mends it, "" where none can.
    fix: does the same; None where only a person can.
    """

    name: str
    state: State
    says: str
    mend: str = ""
    fix: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """Tell it in one line."""
        told = f"{self.state:<5}  {self.name}: {self.says}"
        return f"{told}; to mend it: {self.mend}" if self.mend else told

    def to_json(self) -> dict[str, str]:
        """Tell it to programs."""
        return {"name": self.name, "state": self.state, "says": self.says, "mend": self.mend}
