# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor: looks at all that an installation consists of, says what is wrong, and mends what it can."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from s2am_common.errors import S2AMError
from s2am_setup import engine_checks, gimp_checks
from s2am_setup.check import Check
from s2am_setup.installation import Installation

Find = Callable[[], Installation]
Tell = Callable[[str], None]

Look = Callable[[Installation], Iterator[Check]]

ALL: tuple[Look, ...] = (
    engine_checks.check_environment,
    engine_checks.check_command,
    engine_checks.check_launchers,
    engine_checks.check_models,
    gimp_checks.check_gimps,
    gimp_checks.check_plugins,
    engine_checks.check_engine,
    gimp_checks.check_sandboxes,
    engine_checks.check_machine,
)


def examine(find: Find, looks: Sequence[Look] = ALL) -> Iterator[Check]:
    """Look at one thing after the other, as it is now."""
    for check in looks:
        yield from check(find())


def examine_and_mend(find: Find, tell: Tell, looks: Sequence[Look] = ALL) -> Iterator[Check]:
    """Look at one thing after the other; mend what can be mended, and look at it again before going on to the next."""
    for check in looks:
        found = list(check(find()))
        curable = [one for one in found if one.state == "wrong" and one.fix]
        for one in curable:
            _mend(one, tell)
        yield from check(find()) if curable else found


def _mend(broken: Check, tell: Tell) -> None:
    tell(f"mending {broken.name}: {broken.says}")
    try:
        if broken.fix:
            broken.fix()
    except (S2AMError, OSError) as error:
        tell(f"could not be mended: {error}")


def run(find: Find, out: TextIO, notes: TextIO, *, as_json: bool = False, mend: bool = False) -> int:
    """Examine an installation and tell; 0 if nothing is wrong (any more), else 1.

    Args:
        find: finds the installation; asked again for each check, since a repair may have moved it.
        out: where to print what was found.
        notes: where to print what is being mended.
        as_json: print one JSON object instead of lines.
        mend: mend what can be mended.
    """
    mended: list[str] = []

    def tell(text: str) -> None:
        mended.append(text)
        print(text, file=notes, flush=True)

    checks = []
    for check in examine_and_mend(find, tell) if mend else examine(find):
        checks.append(check)
        if not as_json:
            print(check, file=out, flush=True)
    is_well = all(check.state != "wrong" for check in checks)
    if as_json:
        told = {"ok": is_well, "checks": [check.to_json() for check in checks], "mended": mended}
        print(json.dumps(told, ensure_ascii=False), file=out)
    return 0 if is_well else 1
