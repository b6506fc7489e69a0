# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of training on a CPU comes from one heap with huge pages, in the threads that make pairs as well."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from s2am_engine.training.heap import tune_malloc

tune_malloc()
with ThreadPoolExecutor(1) as pool:
    tensors = [torch.zeros(2**20), pool.submit(torch.zeros, 2**20).result()]
for tensor in tensors:
    middle, inside = tensor.data_ptr() + 2**21, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *values = line.split()
        if "-" in first:
            start, end = (int(number, 16) for number in first.split("-"))
            inside = start <= middle < end
        elif inside and first == "VmFlags:":
            print("hg" in values)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="needs glibc, and Linux with transparent huge pages",
)
def test_tensors_of_all_threads_are_in_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True"]
