# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m tests`: create the test environment if necessary, then run all checks and tests.

Further arguments go to pytest. The environment is in .venv-tests; it is recreated when pyproject.toml or the Python
version changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from installer import environment, packages, torch_builds
from installer.console import Console
from installer.packages import PackageSources
from s2am_common.errors import InstallError

CHECKOUT = Path(__file__).resolve().parent.parent
STAMP = "s2am-tests"
CHECKS = {
    "ruff check": "ruff check",
    "ruff format": "ruff format --check",
    "mypy": "mypy",
    "import contracts": "lint-imports --no-cache",
}
"""Commands of the static checks; `.pre-commit-config.yaml` has the same ones."""


def main(pytest_arguments: list[str]) -> int:
    """Run all checks, including those after a failed one; return 0 if all passed."""
    console = Console(sys.stdout)
    try:
        python = _prepared(console)
        programs = {name: command.split() for name, command in CHECKS.items()}
        commands = {name: [str(python.with_name(words[0])), *words[1:]] for name, words in programs.items()}
        # pytest is last because continuous integration reads its summary from the end of the output.
        commands["pytest"] = [str(python), "-m", "pytest", "-n", "auto", *pytest_arguments]
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
    code = subprocess.run(command, cwd=CHECKOUT, env=environment.clean_environ(), check=False).returncode
    if name != "pytest":
        print(f"== {name}: {'failed' if code else 'ok'} ({time.monotonic() - start:.1f} s)", flush=True)
    return code == 0


def _prepared(console: Console) -> Path:
    """Return the Python of the test environment; create the environment if it is missing or out of date."""
    tests = environment.Environment(CHECKOUT / ".venv-tests")
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
