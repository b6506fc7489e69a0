# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of the installer: one line per step for the user, all output of commands for the log."""

from __future__ import annotations

import contextlib
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

_PROXY = r"Proxy Authentication Required|ProxyError|Tunnel connection failed|\b407\b|403  Forbidden|HTTP error 403"
_INTERRUPTED = r"incomplete-download|IncompleteRead|Connection broken|ReadTimeoutError|Read timed out"
_NO_NETWORK = (
    r"[Tt]emporary failure|[Nn]ame or service not known|getaddrinfo|NewConnectionError|[Cc]onnection refused"
    r"|Could not (?:connect|resolve)|timed out"
)
_NO_CERTIFICATES = r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid path: .*\.(?:crt|pem)"
# Advice for a failed command, by a pattern of its output; the first match counts.
_ADVICE = {
    r"No space left on device|not enough space": "The disk is full: free some space",
    r"Disk quota exceeded": "The disk quota is used up: free some space",
    _PROXY: "The proxy refuses the connection: check http_proxy and https_proxy with user name and password "
    "(http://USER:PASSWORD@HOST:PORT), or unset them",
    _INTERRUPTED: "The download was interrupted several times: check the network connection (its first part is kept)",
    _NO_CERTIFICATES: "The package server's certificate cannot be checked: install the package ca-certificates, or set "
    "PIP_CERT to your network's certificate file",
    _NO_NETWORK: "The package server cannot be reached: check the network connection",
    r"Permission denied": "A file cannot be written: change its owner to yourself (without sudo)",
}


def prompt_yes_no(question: str, source: TextIO, out: TextIO) -> bool:
    """Ask a yes-or-no question and return the answer; without a terminal, and on an empty answer, it is yes."""
    if not source.isatty():
        return True
    print(f"{question} [Y/n] ", end="", file=out, flush=True)
    return source.readline().strip().lower() in ("", "y", "yes")


def format_bytes(count: int) -> str:
    """Return a size as text, such as "250 MB" or "1.2 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


class CommandError(InstallError):
    """A command failed.

    Attributes:
        output: its output.
    """

    default_code = "install.command"

    def __init__(self, command: Sequence[str], output: str) -> None:
        """Compose the message from the command's output."""
        self.output = output
        advice = next((advice for pattern, advice in _ADVICE.items() if re.search(pattern, output)), "")
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        named = [line for line in lines if re.match(r"(?:ERROR|error|E|\w*Error|\w*Exception)\b: ", line)]
        reason = (named or [line for line in lines if not line.startswith(("note:", "hint:"))] or ["no message"])[-1]
        advice = advice or f"{Path(command[0]).name} failed ({reason[:200]}): correct that"
        super().__init__(f"{advice}, then run the same command again.")


class Console:
    """Prints steps with their duration, runs commands, and logs their output."""

    def __init__(self, out: TextIO) -> None:
        """Print to `out`; nothing is logged before `open_log`."""
        self._out = out
        self._log: TextIO | None = None
        self._step = ""

    def open_log(self, path: Path) -> None:
        """Start a new log file, and create its folder.

        Raises:
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = path.open("w", encoding="utf-8", errors="replace", buffering=1)
        self.log(f"{time.ctime()}  Python {sys.version}  {sys.platform}")

    def log_hint(self) -> str:
        """Return the path of the log, to be appended to a message; "" without a log."""
        return f" (Details: {self._log.name})" if self._log else ""

    def say(self, *lines: str) -> None:
        """Print and log lines."""
        for line in lines:
            self._print(f"{line}\n")
            self.log(line)

    def _print(self, text: str) -> None:
        """Print text; a reader that has gone away (“| head”) does not end the installation."""
        with contextlib.suppress(BrokenPipeError):
            self._out.write(text)
            self._out.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Print a step's description, and its duration when the block ends."""
        self._step = f"  {text} ..."
        self.log(self._step)
        self._print(self._step)
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self._print(" stopped\n")
            raise
        self._show("")
        start_of_line = f"\r{self._step}" if self._out.isatty() else ""
        self._print(f"{start_of_line} {time.monotonic() - start:.0f} s\n")

    def run(self, command: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run a command; log and return its output (stdout and stderr).

        Raises:
            CommandError: it failed.
        """
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
                        self.show_bytes(*map(int, progress.groups()))
                    else:
                        lines.append(line)
                        self.log(line.rstrip())
            except KeyboardInterrupt:
                # The command has received the terminal's Ctrl-C, too, and gets time to clean up.
                try:
                    process.communicate(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise
        output = "".join(lines)
        if process.returncode:
            raise CommandError(command, output)
        return output

    def show_bytes(self, done: int, total: int) -> None:
        """Show the progress of the present step."""
        self._show(f" {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def _show(self, detail: str) -> None:
        # Only a terminal's line can be rewritten; the spaces overwrite a longer detail.
        if self._out.isatty():
            self._print(f"\r{self._step}{detail:<20}")

    def log(self, line: str) -> None:
        """Write a line to the log only."""
        if self._log:
            print(line, file=self._log)
