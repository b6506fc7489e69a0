# SPDX-License-Identifier: GPL-3.0-or-later
"""XCF files with layer effects that GIMP 3.0 saved, opened in GIMP 3.2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.gimp import pictures
from tests.gimp.answers import Cases, on_canvas
from tests.gimp.conftest import provisioned
from tests.gimp.harness import Gimp3
from tests.gimp.pictures import HEIGHT, WIDTH
from tests.gimp.provision import HOSTS, Host

EARLIER, LATER = HOSTS
SIZE = (WIDTH, HEIGHT)
pytestmark = pytest.mark.parametrize("gimp_host", [LATER], indirect=True, ids=[f"gimp{LATER.version}"])


@pytest.fixture(scope="module")
def steps(
    gimp_host: Host, gimp_root: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Cases]]:
    """The results of writing files in one GIMP and reading them in the other."""
    assert gimp_host == LATER
    folder = tmp_path_factory.mktemp("files")
    pictures.write(folder)
    found = {}
    for step, root in (("write", provisioned(EARLIER, pytestconfig)), ("read", gimp_root)):
        gimp = Gimp3(root, folder)
        gimp.prepare()
        found[step] = Cases(folder, gimp.run("files.py", 900, S2AM_STEP=step), gimp)
    try:
        yield found
    finally:
        gimp.end_engine()


def test_effect_is_kept(steps: dict[str, Cases]) -> None:
    written, read = steps["write"]["write_effect"], steps["read"]["read_effect"]
    assert written.succeeded, written.facts["message"]
    assert read.facts["effects"] == 1
    difference = read.pixels("visible", SIZE).astype(int) - written.pixels("visible", SIZE)
    assert np.abs(difference).max() <= 1


def test_effect_of_version_0_1_is_restored(steps: dict[str, Cases]) -> None:
    written, facts = steps["write"]["write_earlier_effect"], steps["read"]["read_earlier_effect"].facts
    assert facts["loaded"]["effects"] == 0  # GIMP discards it
    assert (facts["status"], facts["restored"]["effects"]) == ("success", 1)
    restored = steps["read"]["read_earlier_effect"].inner("restored").pixels("visible", SIZE).astype(int)
    inside = on_canvas(pictures.cut_out()[..., 3]) > 0
    expected = written.pixels("visible", SIZE)
    np.testing.assert_array_equal(restored[~inside], expected[~inside])
    assert np.abs(restored - expected)[inside].mean() < 1
    assert np.abs(written.pixels("before", SIZE).astype(int) - expected)[inside].mean() > 5
