# SPDX-License-Identifier: GPL-3.0-or-later
"""The likeness of a background to the look to which a model was fine-tuned, in words."""

from __future__ import annotations

NEGLIGIBLE = 0.01  # likeness up to which the base network alone is used
ALIKE = 0.5  # likeness from which on a background counts as having the look of fine-tuning


def likeness_note(model: str, likeness: float | None, *, references: bool = False) -> str | None:
    """Return a sentence on a background that lacks the look to which a model was fine-tuned; None if it has the look.

    Args:
        model: name of the model.
        likeness: resemblance to its look, 0 to 1; None = it was not fine-tuned.
        references: whether reference photographs were given.
    """
    if likeness is None or likeness >= ALIKE:
        return None
    subject = "Background and reference photographs do" if references else "The background does"
    used = "was used" if likeness <= NEGLIGIBLE else f"counts {1 - likeness:.0%}"
    style = f"the look to which “{model}” was fine-tuned"
    return f"{subject} not have {style} (likeness {likeness:.0%}): its base model {used}."
