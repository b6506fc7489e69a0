# SPDX-License-Identifier: GPL-3.0-or-later
"""`python3 -m installer`: the command line of the installer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from installer import install, wheels
from installer.access import write_advice
from installer.environment import check_python
from s2am_common.errors import S2AMError
from s2am_common.streams import make_printable
from s2am_setup import torch_builds
from s2am_setup.command import add_doctor, add_uninstall
from s2am_setup.console import Console
from s2am_setup.doctor import run_doctor
from s2am_setup.installation import find_installation, install_paths
from s2am_setup.platform import Platform, this_platform
from s2am_setup.uninstall import run_uninstall

_DOCTOR = "python3 -m installer doctor"


def main(arguments: Sequence[str] | None = None, platform: Platform | None = None) -> int:
    """Run one command; return 0 if it succeeded, else 1 after printing one sentence with advice."""
    platform = platform or this_platform()
    words = list(sys.argv[1:] if arguments is None else arguments)
    make_printable(sys.stdout, sys.stderr)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["install", *words]
    options = _parser().parse_args(words)
    console = Console(sys.stdout)
    try:
        code: int = options.run(options, platform, console)
    except KeyboardInterrupt:
        print("Stopped; a previous installation is unchanged. To continue, run the same command.", file=sys.stderr)
        return 1
    except S2AMError as error:
        print(f"{error}{console.log_hint()}", file=sys.stderr)
        return 1
    except OSError as error:
        path = Path(error.filename or install_paths(platform).data)
        denied = isinstance(error, PermissionError)
        advice = write_advice(path) if denied else "correct that"
        sentence = f"Cannot write to {path} ({error.strerror}): {advice}, then run the same command again."
        print(f"{sentence}{console.log_hint()}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m installer",
        description="Install s2am for the current user, or repair or upgrade it. The default command is install.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_install(commands.add_parser("install", help="install, repair or upgrade"))
    one = commands.add_parser("repair", help="reinstall with the choices of the last time, without questions")
    one.set_defaults(run=_repair)
    add_doctor(commands, _doctor)
    add_uninstall(commands, _uninstall)
    one = commands.add_parser("download", help="download wheels for a computer without a network")
    one.add_argument("folder", type=Path, metavar="FOLDER")
    _add_torch(one)
    one.set_defaults(run=_download)
    return parser


def _add_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask: the editor, and the plug-in in every GIMP 3")
    parser.add_argument("--no-plugin", action="store_true", help="do not install the plug-in in GIMP")
    _add_torch(parser)
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="install from this folder, without a network")
    parser.add_argument("--no-editor", action="store_true", help="do not install the editor")
    parser.add_argument("--dry-run", action="store_true", help="check what can be checked, and only list the steps")
    parser.set_defaults(run=_install)


def _add_torch(parser: argparse.ArgumentParser) -> None:
    about = (
        "PyTorch, for training and GPUs: none, cpu, a tag such as cu130 or rocm7.2, or auto (for this computer's GPU; "
        "without one, none); by default as before, at first auto"
    )
    parser.add_argument("--torch", default="", metavar="BUILD", help=about)


def _install(options: argparse.Namespace, platform: Platform, console: Console) -> int:
    check_python(sys.version_info[:2], sys.maxsize > 2**32)
    install_options = install.InstallOptions(
        plugin=not options.no_plugin,
        torch=options.torch,
        wheels=options.wheels.expanduser().resolve() if options.wheels else None,
        editor=not options.no_editor,
        ask=not options.yes,
    )
    installer = install.Installer(platform, install_options, install.CHECKOUT, console)
    return installer.print_steps() if options.dry_run else installer.run()


def _repair(_options: argparse.Namespace, platform: Platform, console: Console) -> int:
    check_python(sys.version_info[:2], sys.maxsize > 2**32)
    options = install.InstallOptions(ask=False, keep_choices=True)
    return install.Installer(platform, options, install.CHECKOUT, console).run()


def _doctor(options: argparse.Namespace, platform: Platform, _console: Console) -> int:
    # Steps go to stderr, because stdout has the results of the checks.
    reinstall = partial(_repair, options, platform, Console(sys.stderr))
    find = partial(find_installation, platform, None, _DOCTOR, reinstall)
    return run_doctor(find, sys.stdout, sys.stderr, as_json=options.json, repair=options.fix)


def _uninstall(options: argparse.Namespace, platform: Platform, _console: Console) -> int:
    return run_uninstall(find_installation(platform, None, _DOCTOR), sys.stdin, sys.stdout, options)


def _download(options: argparse.Namespace, platform: Platform, console: Console) -> int:
    build = torch_builds.select_torch_build(platform, options.torch or torch_builds.AUTO_BUILD)
    wheels.download_wheels(options.folder, install.CHECKOUT, build, console)
    folder = options.folder.resolve()
    console.say(f"Ready: copy {folder} and this clone to the other computer, and run there:")
    console.say(f'  python3 -m installer --wheels "{folder.name}" --torch {build.tag or torch_builds.CPU_ONLY}')
    return 0


if __name__ == "__main__":
    sys.exit(main())
