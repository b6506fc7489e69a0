# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `s2am pairs`, `s2am train` and `s2am finetune`: their options, and how they tell people."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from s2am_common.paths import user_paths
from s2am_engine.cli.terminal import Subparsers, UsageError, add_command, add_device, advance, fail
from s2am_engine.cli.training_console import ProgressDisplay
from s2am_engine.errors import EngineError
from s2am_engine.models import model_store

if TYPE_CHECKING:
    from s2am_engine.training.photo_cache import Skipped
    from s2am_engine.training.recipes import Recipe
    from s2am_engine.training.train import Plan

SETTINGS = ("steps", "minutes", "batch", "size", "learning_rate", "schedule", "adversarial", "clip", "average")
NETWORK_OPTIONS = ("width", "levels")
RESUMABLE = ("steps", "minutes")  # what may change when a run is gone on with
DEFAULT_SHEET = Path("pairs.png")


def add_train(subparsers: Subparsers) -> None:
    """Describe `s2am train`."""
    about = "Train a network from photographs, or from pairs in iHarmony4's layout; torchrun shares it among GPUs."
    parser = add_command(subparsers, "train", run_train, about)
    parser.add_argument("--network", metavar="NAME", help="see “s2am models”")
    parser.add_argument("--data", type=Path, metavar="DIR", help="photographs, COCO's or iHarmony4's layout")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="of the run (default: runs/NETWORK)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --folder, with the options it had")
    parser.add_argument("--name", help="of the model that comes out (default: my-NETWORK)")
    recipe = "published (the paper's own) or small (affordable on a CPU); default: small on a CPU, else published"
    parser.add_argument("--recipe", choices=("small", "published"), help=recipe)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive(int), help="how many in all (default: the recipe's)")
    length.add_argument("--minutes", type=positive(float), help="as many steps as fit into this time")
    parser.add_argument(
        "--size", type=positive(int), help="side of the network's input in pixels (default: the recipe's)"
    )
    parser.add_argument("--batch", type=positive(int), help="pairs a step, of each process (default: the recipe's)")
    parser.add_argument("--loss", help="default: the recipe's")
    parser.add_argument("--learning-rate", type=positive(float), help="at its highest (default: the recipe's)")
    parser.add_argument("--schedule", choices=("cosine", "constant"), help="default: the recipe's")
    parser.add_argument("--adversarial", type=float, help="weight of the adversarial term (default: the recipe's)")
    parser.add_argument("--clip", type=positive(float), help="largest norm of the gradient (default: the recipe's)")
    parser.add_argument("--average", type=float, help="of the running average of the weights (default: the recipe's)")
    precision = "16-bit arithmetic where it is safe (default: the recipe's)"
    parser.add_argument("--mixed-precision", action=argparse.BooleanOptionalAction, help=precision)
    parser.add_argument("--width", type=positive(int), help="the network's width (default: the recipe's)")
    parser.add_argument("--levels", type=positive(int), help="an encoder-decoder's halvings (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and pairs (default: %(default)s)")
    start = "begin with the weights of this model, where the networks share layers (default: fresh)"
    parser.add_argument("--start", metavar="MODEL", help=start)
    add_machine(parser)


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what says where to compute."""
    parser.add_argument("--threads", type=positive(int), help="CPU threads that compute (default: PyTorch's choice)")
    parser.add_argument("--workers", type=int, help="threads that make pairs (default: half of the cores)")
    add_device(parser)


def add_pairs(subparsers: Subparsers) -> None:
    """Describe `s2am pairs`."""
    about = "Show the pairs that training makes of photographs, or write a data set of pairs."
    parser = add_command(subparsers, "pairs", run_pairs, about)
    parser.add_argument(
        "photos", type=Path, metavar="PHOTOS", help="a folder; for “swapped”: of folders, a version each"
    )
    what = f"draw a contact sheet (default: {DEFAULT_SHEET})"
    parser.add_argument("--sheet", type=Path, nargs="?", const=DEFAULT_SHEET, metavar="PNG", help=what)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write pairs in iHarmony4's layout instead")
    kind = "recolored: a region of a photograph (S-COCO); swapped: between aligned versions of one (S-Adobe5K)"
    parser.add_argument("--kind", choices=("recolored", "swapped"), help=f"with -o: {kind}")
    parser.add_argument("--count", type=positive(int), default=48, help="how many pairs (default: %(default)s)")
    parser.add_argument("--size", type=positive(int), help="pixels: of the sheet's pairs (192), of those written (512)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same pairs (default: %(default)s)")


def add_finetune(subparsers: Subparsers) -> None:
    """Describe `s2am finetune`."""
    about = "Fine-tune a model on your own photographs, and keep the better of the two. Nothing leaves the machine."
    parser = add_command(subparsers, "finetune", run_finetune, about)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of 20 photographs or more")
    parser.add_argument("--name", required=True, help="of the new model")
    parser.add_argument("--minutes", type=positive(float), default=10.0, help="of learning (default: %(default)s)")
    parser.add_argument("--base", default=model_store.DEFAULT_MODEL, help="model to begin with (default: %(default)s)")
    benchmark = "also measure before and after on pairs in iHarmony4's layout"
    parser.add_argument("--benchmark", type=Path, metavar="DATASET", help=benchmark)
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw the held-out pairs before and after")
    add_machine(parser)


def run_train(options: argparse.Namespace) -> int:
    """Run `s2am train`."""
    from s2am_engine.training import train as training
    from s2am_engine.training.run_folder import SETTINGS_FILE

    use_threads(options.threads)
    folder, plan = go_on(options) if options.resume else begin(options)
    try:
        with ProgressDisplay(quiet=options.json) as display:
            found = training.train(
                plan, folder, resume=options.resume, device=options.device, workers=options.workers, report=display
            )
    except KeyboardInterrupt:
        begun = (folder / SETTINGS_FILE).exists()
        again = f"“s2am train --resume --folder {folder}” goes on with it" if begun else "the same command begins again"
        return fail(f"Stopped: {again}.")
    if found is None:  # another process of the team tells it
        return 0
    name = found.model.card.name
    if options.json:
        summary = {"model": name, "run": str(folder), "steps": found.steps, "gain": found.gain}
        print(json.dumps(summary))
    else:
        print(f"The model “{name}” is there after {found.steps} steps: {found.gain:+.2f} dB on held-out pairs.")
        print(f"Use it with --model {name}; curves and samples: {folder / 'progress.png'}")
    return 0


def run_pairs(options: argparse.Namespace) -> int:
    """Run `s2am pairs`."""
    if options.output and options.sheet:
        raise UsageError("--sheet and --output are two things: one draws pairs, the other writes them")
    if options.kind and not options.output:
        raise UsageError("--kind goes with --output")
    return write_pairs(options) if options.output else show_pairs(options)


def show_pairs(options: argparse.Namespace) -> int:
    """Draw the pairs that training would make."""
    from s2am_common.atomic import atomic_write
    from s2am_engine.training.events import reading_progress
    from s2am_engine.training.photo_cache import load_photographs
    from s2am_engine.training.synthetic_pairs import PairMaker, draw_pair_sheet

    size, sheet = options.size or 192, options.sheet or DEFAULT_SHEET
    with ProgressDisplay(quiet=True) as display:
        cached = load_photographs(options.photos, None, size, reading_progress(display))
    maker = PairMaker(size, min(options.count, 16), options.seed, photographs=cached)
    with atomic_write(sheet) as file:
        draw_pair_sheet(maker, options.count).save(file, "PNG")
    summary = {"sheet": str(sheet), "pairs": options.count, "photographs": len(cached)}
    print_pairs_summary(
        options, summary, cached.skipped, f"{options.count} pairs of {len(cached)} photographs: {sheet}"
    )
    return 0


def write_pairs(options: argparse.Namespace) -> int:
    """Write one of the published kinds of data sets."""
    from s2am_engine.training.dataset_writers import build_recolored, build_swapped

    sizes = {"long_side": options.size or 512, "seed": options.seed}
    with tqdm(unit="pair", disable=None, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            advance(bar, done, total)

        if options.kind == "swapped":
            versions = sorted(path for path in options.photos.glob("*") if path.is_dir())
            built = build_swapped(versions, options.output, options.count, progress=progress, **sizes)
        else:
            built = build_recolored(options.photos, options.output, options.count, progress=progress, **sizes)
    if not built.pairs:
        reasons = Counter(one.why for one in built.skipped).most_common(1)
        raise EngineError(f"No pair could be made of {options.photos} ({reasons[0][0]}): bring other photographs.")
    summary = {"output": str(options.output), "pairs": built.pairs}
    print_pairs_summary(options, summary, built.skipped, f"{built.pairs} pairs written to {options.output}")
    return 0


def print_pairs_summary(
    options: argparse.Namespace, summary: dict[str, Any], skipped: Sequence[Skipped], sentence: str
) -> None:
    """Print what was done, and list the files that were left out."""
    left_out = [{"path": str(one.path), "why": one.why} for one in skipped]
    if options.json:
        print(json.dumps(summary | {"skipped": left_out}))
    else:
        list_skipped(skipped)
        print(sentence)


def list_skipped(skipped: Sequence[Skipped]) -> None:
    """Say which files were left out, and why."""
    for one in skipped:
        print(f"left out {one.path}: {one.why}", file=sys.stderr)


def run_finetune(options: argparse.Namespace) -> int:
    """Run `s2am finetune`."""
    from s2am_engine.training import finetune as tuning

    use_threads(options.threads)
    try:
        with ProgressDisplay(quiet=True) as display:
            found = tuning.finetune(
                options.photos,
                options.name,
                base=options.base,
                minutes=options.minutes,
                benchmark=options.benchmark,
                sheet=options.sheet,
                device=options.device,
                workers=options.workers,
                report=display,
                checkpoint=user_paths().cache / "finetune" / options.name,
            )
    except KeyboardInterrupt:
        return fail("Stopped: the same command continues; no model was made yet.")
    if options.json:
        print(json.dumps(found.to_json()))
        return 0
    list_skipped(found.photographs.skipped)
    seen, unseen = len(found.photographs.seen), len(found.photographs.unseen)
    print(f"Learned from {seen} photographs, measured on {unseen} others of the same folder:")
    for what, one in (("this style", found.style), ("other styles", found.others), ("benchmark", found.benchmark)):
        if one:
            print(
                f"  {what:12} fMSE {one.before.fmse:7.1f} → {one.after.fmse:7.1f} ({-one.fmse_saved:+.1%}), "
                f"PSNR {one.before.psnr:.2f} → {one.after.psnr:.2f} dB ({one.psnr_gained:+.2f})"
            )
    if found.model is None:
        print(f"“{options.base}” stays the better one all in all, so no model was made: try more photographs.")
    else:
        print(f"The new model is the better one: use it with --model {found.model.card.name}.")
    return 0


def begin(options: argparse.Namespace) -> tuple[Path, Plan]:
    """A new run, as the command line says."""
    from s2am_engine.training.train import make_plan

    if not (options.network and options.data):
        raise UsageError("name a --network and its --data, or go on with a run (--resume --folder DIR)")
    recipe = recipe_of(options)
    plan = make_plan(options.network, options.data, recipe, options.name, options.seed, options.start or "")
    return options.folder or Path("runs") / options.network, plan


def go_on(options: argparse.Namespace) -> tuple[Path, Plan]:
    """The run that is there, perhaps with more steps or minutes."""
    from s2am_engine.training.train import Plan

    folder = options.folder or (Path("runs") / options.network if options.network else None)
    if folder is None:
        raise UsageError("--resume goes with --folder DIR, the folder of the run")
    for name in ("recipe", "name", "start", "loss", "mixed_precision", *SETTINGS, *NETWORK_OPTIONS):
        if name not in RESUMABLE and getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} can't change when a run is gone on with")
    plan = Plan.read(folder)
    changes = given(options, *RESUMABLE)
    if changes:
        plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, **{"minutes": None} | changes))
    return folder, plan


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The network's recipe with the command line's changes."""
    from s2am_engine.inference.devices import choose_device
    from s2am_engine.training.losses import LOSSES
    from s2am_engine.training.recipes import RECIPES

    kind = options.recipe or ("small" if choose_device(options.device).type == "cpu" else "published")
    if options.network not in RECIPES[kind]:
        raise UsageError(f"--network is one of {', '.join(sorted(RECIPES[kind]))}")
    recipe = RECIPES[kind][options.network]
    changes = given(options, *SETTINGS, "mixed_precision")
    if options.loss is not None:
        if options.loss not in LOSSES:
            raise UsageError(f"--loss is one of {', '.join(sorted(LOSSES))}")
        changes["loss"] = options.loss
    if "steps" in changes:
        changes["minutes"] = None
    return dataclasses.replace(recipe, options={**recipe.options, **given(options, *NETWORK_OPTIONS)}, **changes)


def given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of the options that stood on the command line."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def use_threads(threads: int | None) -> None:
    """Compute with so many CPU threads."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Parse a number above 0."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError("must be more than 0")
        return value

    parse.__name__ = kind.__name__  # argparse names it when the text is no number
    return parse
