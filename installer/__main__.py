# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m installer`: the command line. `install.py` has the steps."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from installer import engine, environment, torch_builds
from installer.console import Console
from installer.install import Install, Wishes
from s2am_common.errors import S2AMError
from s2am_setup import doctor, installation, uninstall
from s2am_setup.facts import Facts, this_machine

CHECKOUT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None, facts: Facts | None = None) -> int:
    """Run one command; 0 if it did what it should, else 1 with one sentence that says what to do."""
    machine = facts or this_machine()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["install", *words]
    options = build_parser().parse_args(words)
    console = Console(sys.stdout)
    try:
        code: int = options.run(options, machine, console)
    except KeyboardInterrupt:
        print("Stopped: the previous installation, if any, is as it was. Run the same command again.", file=sys.stderr)
        return 1
    except S2AMError as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or installation.find(machine, None, "").paths.data
        advice = "make that possible, then run the same command again"
        print(f"Cannot write to {where} ({error.strerror}): {advice}.{console.log_hint()}", file=sys.stderr)
        return 1
    return code


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m installer",
        description="Installs s2am for this user, or repairs and upgrades it; without a command: install.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_install(commands.add_parser("install", help="install, repair or upgrade"))
    one = commands.add_parser("doctor", help="say what is wrong with the installation")
    one.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    one.add_argument("--fix", action="store_true", help="mend what can be mended")
    one.set_defaults(run=_doctor)
    one = commands.add_parser("uninstall", help="remove all that was installed")
    one.add_argument("--purge", action="store_true", help="remove personal models and settings, too")
    one.add_argument("--yes", action="store_true", help="ask nothing")
    one.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    one.add_argument("--json", action="store_true", help="print one JSON object instead of lines; asks nothing")
    one.set_defaults(run=_uninstall)
    one = commands.add_parser("download", help="fill a folder with wheels for a machine without a network")
    one.add_argument("folder", type=Path, metavar="FOLDER")
    _add_torch(one)
    one.set_defaults(run=_download)
    return parser


def _add_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="ask nothing: every GIMP 3, and the editor in the menus")
    which = "the GIMPs that get the plug-in: all, none, a version (3.2), flatpak, snap …, or a profile's folder"
    parser.add_argument("--gimp", action="append", metavar="WHICH", help=f"{which}; may be given several times")
    _add_torch(parser)
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="install from this folder, without a network")
    parser.add_argument("--pip", action="store_true", help="use pip even if there is uv")
    parser.add_argument("--no-launcher", action="store_true", help="leave the editor out of the menus")
    offer = "offer the editor in “open with” for pictures; it never becomes the default for any"
    parser.add_argument("--open-with", action=argparse.BooleanOptionalAction, default=None, help=offer)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.set_defaults(run=_install)


def _add_torch(parser: argparse.ArgumentParser) -> None:
    build = "PyTorch's build: auto, cpu, or a tag of PyTorch's such as cu130 or rocm7.2 (default: %(default)s)"
    parser.add_argument("--torch", default="auto", metavar="BUILD", help=build)


def _install(options: argparse.Namespace, facts: Facts, console: Console) -> int:
    environment.check_python(sys.version_info[:2], sys.maxsize > 2**32)
    wishes = Wishes(
        gimps=options.gimp,
        torch=options.torch,
        wheels=options.wheels.expanduser().resolve() if options.wheels else None,
        use_uv=not options.pip,
        launcher=not options.no_launcher,
        open_with=options.open_with,
        ask=not options.yes,
    )
    install = Install(facts, wishes, CHECKOUT, console)
    return install.rehearse() if options.dry_run else install.run()


def _doctor(options: argparse.Namespace, facts: Facts, _console: Console) -> int:
    def reinstall() -> None:
        # What is repaired is told on stderr: stdout has the doctor's findings.
        Install(facts, Wishes(ask=False, again=True), CHECKOUT, Console(sys.stderr)).run()

    def find() -> installation.Installation:
        return installation.find(facts, None, "python3 -m installer doctor", reinstall)

    return doctor.run(find, sys.stdout, sys.stderr, as_json=options.json, mend=options.fix)


def _uninstall(options: argparse.Namespace, facts: Facts, _console: Console) -> int:
    return uninstall.run(
        installation.find(facts, None, "python3 -m installer doctor"),
        sys.stdin,
        sys.stdout,
        purge=options.purge,
        yes=options.yes,
        dry_run=options.dry_run,
        as_json=options.json,
    )


def _download(options: argparse.Namespace, facts: Facts, console: Console) -> int:
    build = torch_builds.wanted(facts, options.torch)
    engine.download(options.folder, CHECKOUT, build, console)
    folder = options.folder.resolve()
    console.say(f"Ready: bring {folder} and this clone to the other machine, and run there:")
    console.say(f'  python3 -m installer --wheels "{folder.name}" --torch {build.tag or "cpu"}')
    return 0


if __name__ == "__main__":
    sys.exit(main())
