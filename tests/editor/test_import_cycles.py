# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's modules import each other in one direction, imports for type checking included."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_editor_modules_have_no_import_cycles() -> None:
    graph = grimp.build_graph("s2am_editor", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 30
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules
