# SPDX-License-Identifier: GPL-3.0-or-later
"""What the person sees (one line a step), what the log keeps (everything), and errors as one sentence."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from s2am_common.errors import InstallError

# What commands print when something known went wrong, and what the person can do about it. The first match counts.
_NO_NETWORK = (
    r"[Tt]emporary failure|[Nn]ame or service not known|getaddrinfo|NewConnectionError|[Cc]onnection refused"
    r"|Could not (?:connect|resolve)|timed out"
)
_NO_CERTIFICATES = r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid path: .*\.(?:crt|pem)"
_ADVICE = {
    r"No space left on device|not enough space": "The disk is full: free some space",
    r"Disk quota exceeded": "The disk quota is used up: free some space",
    _NO_CERTIFICATES: "The package server's certificate cannot be checked: install the package ca-certificates, or set "
    "PIP_CERT to your network's certificate file",
    _NO_NETWORK: "The package server cannot be reached: check the network connection",
    r"Permission denied": "A file cannot be written: make it yours (without sudo)",
}


class CommandError(InstallError):
    """A command failed; `output` is what it printed, `known` whether that told what to do about it."""

    def __init__(self, command: Sequence[str], output: str) -> None:
        """Choose the sentence from what the command printed."""
        self.output = output
        advice = next((advice for pattern, advice in _ADVICE.items() if re.search(pattern, output)), "")
        self.known = bool(advice)
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "no message")
        advice = advice or f"{Path(command[0]).name} failed ({said[:200]}): mend that"
        super().__init__(f"{advice}, then run the same command again.")


class Console:
    """Prints steps as they go, runs commands, and logs all that they print."""

    def __init__(self, out: TextIO) -> None:
        """Print to `out`; without `open_log`, nothing is logged."""
        self._out = out
        self._log: TextIO | None = None
        self._step = ""

    def open_log(self, path: Path) -> None:
        """Start a new log at `path`, making its folder; raises OSError if it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = path.open("w", encoding="utf-8", errors="replace", buffering=1)
        self.log(f"{time.ctime()}  Python {sys.version}  {sys.platform}")

    def log_hint(self) -> str:
        """Return where the details are, to be put behind a sentence; empty without a log."""
        return f" (Details: {self._log.name})" if self._log else ""

    def say(self, *lines: str) -> None:
        """Print and log lines."""
        for line in lines:
            print(line, file=self._out, flush=True)
            self.log(line)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Print `text`, and behind it how long the block took."""
        self._step = f"  {text} ..."
        self.log(self._step)
        print(self._step, end="", file=self._out, flush=True)
        start = time.monotonic()
        try:
            yield
        except BaseException:
            print(" stopped", file=self._out, flush=True)
            raise
        self._show("")
        start_of_line = f"\r{self._step}" if self._out.isatty() else ""
        print(f"{start_of_line} {time.monotonic() - start:.0f} s", file=self._out, flush=True)

    def run(self, command: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run `command`, log and return what it prints (stderr too); raises CommandError if it fails."""
        self.log(f"$ {shlex.join(command)}")
        lines = []
        try:
            process = subprocess.Popen(
                command, env=environ, cwd=cwd, text=True, encoding="utf-8", errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise CommandError(command, str(error)) from error
        with process:
            try:
                for line in process.stdout or ():
                    if progress := re.match(r"Progress (\d+) of (\d+)", line):
                        done, total = (int(number) / 1e6 for number in progress.groups())
                        self._show(f" {done:.0f} of {total:.0f} MB")
                    else:
                        lines.append(line)
                        self.log(line.rstrip())
            except KeyboardInterrupt:
                # The terminal's Ctrl-C has reached the command too: it gets time to remove what it half made.
                try:
                    process.communicate(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise
        output = "".join(lines)
        if process.returncode:
            raise CommandError(command, output)
        return output

    def _show(self, detail: str) -> None:
        # Only a terminal can have its line rewritten; the spaces cover what a longer detail left there.
        if self._out.isatty():
            print(f"\r{self._step}{detail:<20}", end="", file=self._out, flush=True)

    def log(self, line: str) -> None:
        """Write a line to the log alone."""
        if self._log:
            print(line, file=self._log)
