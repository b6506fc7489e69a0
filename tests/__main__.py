# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests`: create the test environment if necessary, then run all checks and tests.

Further arguments go to pytest. The environment is in .venv-tests; it is recreated when pyproject.toml or the Python
version changes. What this computer cannot test is named first and in the summary, and everything else runs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from installer import environment
from s2am_common import system_libraries
from s2am_common.errors import InstallError, S2AMError
from s2am_setup import debian, packages, start_check, torch_builds
from s2am_setup.console import Console
from s2am_setup.packages import PackageSources
from s2am_setup.python_environment import Environment, clean_environ
from tests.left_out import MISSING_LIBRARIES, find_left_out, report

CHECKOUT = Path(__file__).resolve().parent.parent
STAMP = "s2am-tests"
CHECKS = {
    "ruff check": "ruff check",
    "ruff format": "ruff format --check",
    "mypy": "mypy",
    "import contracts": "lint-imports --no-cache",
}
"""Commands of the static checks; `.pre-commit-config.yaml` has the same ones."""

DOCUMENTATION = "mkdocs build --strict --quiet --site-dir .venv-tests/site"
"""Command that builds the documentation; a warning is an error."""


def main(pytest_arguments: list[str]) -> int:
    """Run all checks, including those after a failed one; return 0 if all passed."""
    console = Console(sys.stdout)
    try:
        python = _prepared(console)
        missing = _missing_libraries(python, console)
        left_out = find_left_out(missing)
        print(report(left_out), flush=True)
        os.environ[MISSING_LIBRARIES] = " ".join(missing)
        programs = {name: command.split() for name, command in (CHECKS | {"documentation": DOCUMENTATION}).items()}
        commands = {name: [str(python.with_name(words[0])), *words[1:]] for name, words in programs.items()}
        # pytest is last because continuous integration reads its summary from the end of the output.
        without_qt = ["-p", "no:pytest-qt", "--ignore=tests/editor/ui"] if missing else []
        commands["pytest"] = [str(python), "-m", "pytest", "-n", "auto", *without_qt, *pytest_arguments]
        failed = [name for name, command in commands.items() if not _passes(name, command)]
    except KeyboardInterrupt:
        print("Stopped; run the same command to start again.", file=sys.stderr)
        return 1
    except InstallError as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def _passes(name: str, command: list[str]) -> bool:
    print(f"\n== {name}", flush=True)
    start = time.monotonic()
    code = subprocess.run(command, cwd=CHECKOUT, env=_environ(), check=False).returncode
    if name != "pytest":
        print(f"== {name}: {'failed' if code else 'ok'} ({time.monotonic() - start:.1f} s)", flush=True)
    return code == 0


def _environ() -> dict[str, str]:
    """Return the variables of the checks: the libraries that were fetched for Qt are found."""
    fetched = system_libraries.fetched_libraries(CHECKOUT / ".venv-tests")
    found = [str(fetched)] if fetched.is_dir() else []
    paths = [*found, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return clean_environ() | ({"LD_LIBRARY_PATH": os.pathsep.join(paths)} if paths else {})


def _missing_libraries(python: Path, console: Console) -> tuple[str, ...]:
    """Return the system's libraries that Qt lacks; on Debian they are fetched without root first."""

    def run(command: Sequence[str]) -> str:
        return console.run(command, _environ())

    start = start_check.start_editor([python], run, "offscreen")
    if start.missing and debian.has_packages():
        try:
            with console.step("Fetching libraries that Qt needs (without installing them)"):
                debian.fetch_libraries(start.files, CHECKOUT / ".venv-tests", console)
            start = start_check.start_editor([python], run, "offscreen")
        except S2AMError as error:
            print(error, file=sys.stderr)
    return start.missing


def _prepared(console: Console) -> Path:
    """Return the Python of the test environment; create the environment if it is missing or out of date."""
    tests = Environment(CHECKOUT / ".venv-tests")
    wanted = hashlib.sha256((CHECKOUT / "pyproject.toml").read_bytes())
    wanted.update(f"{sys.version} {sys.base_prefix} {CHECKOUT}".encode())
    stamp = tests.folder / STAMP
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted.hexdigest() and tests.python.exists():
        return tests.python
    if Path(sys.prefix).resolve() == tests.folder.resolve():
        raise InstallError(
            "This Python belongs to the test environment, which must be recreated: run `deactivate`, then try again."
        )
    environment.check_python(sys.version_info[:2], sys.maxsize > 2**32)
    console.open_log(CHECKOUT / ".venv-tests.log")
    shutil.rmtree(tests.folder, ignore_errors=True)
    with console.step("Creating the test environment"):
        environment.make_environment(tests, console)
    sources = PackageSources()
    with console.step(f"Installing PyTorch {torch_builds.TORCH_VERSION}"):
        torch = packages.install_torch(tests, torch_builds.cpu_build(sys.platform), sources, console)
    with console.step("Installing the libraries and the tools"):
        packages.install_project(tests, f"{CHECKOUT}[test]", torch, sources, console, editable=True)
    stamp.write_text(wanted.hexdigest(), encoding="ascii")
    return tests.python


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
