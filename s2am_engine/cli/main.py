# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am`. Exit codes: 0 done, 1 could not do it (one line on stderr), 2 wrong usage.

What takes time to import is imported by the command that needs it: then `--help` answers at once, and Ctrl-C is a
sentence from the first moment on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

import s2am_engine
from s2am_engine.cli.model_commands import add_models
from s2am_engine.cli.terminal import (
    Status,
    Subparsers,
    UsageError,
    add_command,
    add_device,
    advance,
    fail,
    position,
    show_warning,
    unit,
)
from s2am_engine.cli.training_commands import add_finetune, add_pairs, add_train
from s2am_engine.errors import EngineError
from s2am_engine.models import model_store

if TYPE_CHECKING:
    from s2am_engine.cli.commands import Job
    from s2am_engine.inference.detector import Detector

OTHER_ROOMS = ("gimp_bridge.serve_command", "s2am_editor.command", "s2am_setup.command")
"""Modules that add commands of rooms which the engine doesn't know, with `add_commands(subparsers)`.

The command line alone brings the rooms together, by name, as it does with a plug-in. They import nothing that takes
time before a command runs.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; None = the process's own.

    Returns:
        The exit code.
    """
    warnings.showwarning = show_warning
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except UsageError as error:
        options.parser.error(str(error))
    except EngineError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("Stopped: no file was left half-written.")
    except MemoryError:
        return fail("There is not enough memory for this picture: close other programs, or use a smaller one.")
    except ImportError as error:
        return fail(f"The program's environment is damaged ({error}): run the installer again (python3 -m installer).")
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if os.environ.get("S2AM_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        return fail(
            f"This should not have happened ({what}): set S2AM_TRACEBACK=1, run it again and report what it says."
        )
    return code


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="s2am", description="Makes a pasted foreground belong to its photograph.")
    parser.add_argument("--version", action="version", version=f"s2am {s2am_engine.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_harmonize, add_detect, add_models, add_evaluate, add_bench, add_pairs, add_train, add_finetune):
        add(subparsers)
    for room in OTHER_ROOMS:
        importlib.import_module(room).add_commands(subparsers)
    return parser


def add_harmonize(subparsers: Subparsers) -> None:
    """Describe `s2am harmonize`."""
    about = "Recolor the foreground of a composite, of a layer on a background, or of a folder of composites."
    parser = add_command(subparsers, "harmonize", harmonize, about)
    parser.add_argument("composite", type=Path, metavar="COMPOSITE", help="a picture, a cut-out layer, or a folder")
    where = parser.add_mutually_exclusive_group()
    given = "white = foreground (default: the picture's own alpha, or what a mask-free model finds)"
    find = "find what was pasted, in a flattened composite"
    where.add_argument("--mask", type=Path, help=given)
    where.add_argument("--auto-mask", action="store_true", help=find)
    where.add_argument("--background", type=Path, help="the picture to paste the layer on; its alpha is the mask")
    where.add_argument("--masks", type=Path, metavar="DIR", help="for a folder: the masks, named as the composites")
    at = "the layer's upper left corner on the background (default: centerd; beyond the edge: --at=-20,0)"
    parser.add_argument("--at", type=position, metavar="X,Y", help=at)
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="a file, or a folder for a folder")
    parser.add_argument("--model", default=model_store.DEFAULT_MODEL, help="see “s2am models” (default: %(default)s)")
    parser.add_argument("--strength", type=unit, metavar="0..1", help="how much of it (default: 1)")
    parser.add_argument("--save-map", type=Path, metavar="MAP", help="also write the color map: a .json or .cube file")
    native = "for research: the pixels that the network paints, enlarged, instead of its color map"
    parser.add_argument("--native", action="store_true", help=native)
    add_device(parser)


def add_detect(subparsers: Subparsers) -> None:
    """Describe `s2am detect`."""
    parser = add_command(subparsers, "detect", detect, "Find what was pasted into a flattened composite, as a mask.")
    parser.add_argument("composite", type=Path, metavar="COMPOSITE")
    beside = "default: COMPOSITE-mask.png, beside it"
    parser.add_argument("-o", "--output", type=Path, metavar="MASK", help=beside)
    sure = "find the likeliest region also where it would rather say that nothing was pasted"
    parser.add_argument("--likeliest", action="store_true", help=sure)
    parser.add_argument("--model", default=model_store.DETECTOR, help="one that needs no mask (default: %(default)s)")
    add_device(parser)


def add_evaluate(subparsers: Subparsers) -> None:
    """Describe `s2am evaluate`."""
    about = "Measure models on composites whose truth is known (iHarmony4's layout)."
    parser = add_command(subparsers, "evaluate", evaluate, about)
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("--model", action="append", metavar="NAME", help="may be given several times")
    native = "measure the pixels that the networks paint, at their own size, as the papers do"
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--native", action="store_true", help=native)
    where.add_argument("--auto-mask", action="store_true", help="find the masks, instead of taking the data set's")
    parser.add_argument(
        "--sheet", type=Path, default=Path("evaluation.png"), help="contact sheet (default: %(default)s)"
    )
    add_device(parser)


def add_bench(subparsers: Subparsers) -> None:
    """Describe `s2am bench`."""
    about = "Measure time and memory of each stage at 1, 8 and 24 megapixels."
    parser = add_command(subparsers, "bench", bench, about)
    parser.add_argument("--model", default=model_store.DEFAULT_MODEL, help="default: %(default)s")
    add_device(parser)


def harmonize(options: argparse.Namespace) -> int:
    """Run `s2am harmonize`."""
    from s2am_engine.cli import commands

    if options.at and not options.background:
        raise UsageError("--at goes with --background")
    if options.save_map and options.save_map.suffix.lower() not in (".json", ".cube"):
        raise UsageError("--save-map takes a .json or a .cube file")
    if options.native and (options.strength is not None or options.save_map or options.background):
        raise UsageError("--native goes with neither --strength, --save-map nor --background")
    strength = 1.0 if options.strength is None else options.strength
    job = commands.Job(
        options.model,
        options.device,
        strength,
        native=options.native,
        auto_mask=options.auto_mask,
        scored=options.json,
    )
    if options.composite.is_dir() or options.masks:
        if options.mask or options.background or options.save_map:
            raise UsageError("a folder takes --masks DIR (or --auto-mask); not --mask, --background or --save-map")
        if not ((options.masks or options.auto_mask) and options.output):
            raise UsageError("a folder needs --masks DIR (or --auto-mask) and -o DIR")
        return harmonize_folder(options, job)
    with Status() as status:
        done = commands.harmonize_file(
            options.composite,
            options.output,
            job,
            mask=options.mask,
            background=options.background,
            at=options.at,
            save_map=options.save_map,
            status=status,
        )
    print(json.dumps(done) if options.json else done["output"])
    return 0


def harmonize_folder(options: argparse.Namespace, job: Job) -> int:
    """Harmonize a folder, past bad files; exit code 1 if there were any."""
    from s2am_engine.cli import commands

    results = []
    with tqdm(unit="picture", disable=None, file=sys.stderr) as bar:
        folders = (options.composite, options.masks, options.output)
        for result in commands.harmonize_folder(*folders, job, lambda done, total: advance(bar, done, total)):
            if "error" in result:
                tqdm.write(f"error: {result['error']}", file=sys.stderr)
            results.append(result)
    failed = sum("error" in result for result in results)
    if options.json:
        print(json.dumps({"results": results}))
    else:
        print(f"{len(results) - failed} of {len(results)} pictures harmonized into {options.output}")
    return 1 if failed else 0


def detect(options: argparse.Namespace) -> int:
    """Run `s2am detect`."""
    from s2am_engine.cli.commands import detect_file

    def load() -> Detector:
        from s2am_engine.inference.detector import Detector  # brings PyTorch along

        return Detector(options.model, options.device)

    with Status() as status:
        done = detect_file(options.composite, options.output, load, status, likeliest=options.likeliest)
    print(json.dumps(done) if options.json else done["output"])
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Run `s2am evaluate`."""
    from s2am_common.atomic import atomic_write
    from s2am_engine.training import evaluation

    names = options.model or [model_store.DEFAULT_MODEL]
    # The sheet's file is opened first: that it can't be written should not come out after an hour of measuring.
    with atomic_write(options.sheet) as sheet, tqdm(unit="picture", disable=None, file=sys.stderr) as bar:
        found = evaluation.evaluate(
            options.dataset,
            names,
            device=options.device,
            native=options.native,
            auto_mask=options.auto_mask,
            sheet=sheet,
            progress=lambda done, total: advance(bar, done, total),
        )
    if options.json:
        print(json.dumps(found.to_json()))
    else:
        print(found.to_table())
        print(f"contact sheet: {options.sheet}")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Run `s2am bench`."""
    from s2am_engine.cli import bench as measuring

    with Status() as status:
        found = measuring.bench(options.model, options.device, status)
    if options.json:
        sizes = [item.to_json() for item in found]
        print(json.dumps({"machine": measuring.machine(), "model": options.model, "sizes": sizes}))
    else:
        print(measuring.machine())
        print(measuring.to_table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
