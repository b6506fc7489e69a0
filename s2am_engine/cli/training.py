# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of training: `pairs`, `train`, `finetune`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from s2am_common.errors import TrainingError
from s2am_common.paths import user_paths
from s2am_engine.cli.outputs import SHEET_SUFFIXES, choose_output
from s2am_engine.cli.terminal import (
    CommandSpec,
    UsageError,
    add_device,
    advance,
    fail,
    json_text,
    open_bar,
    open_share_bar,
    positive,
    print_on_stderr,
    progress_bar,
)
from s2am_engine.models import model_store

if TYPE_CHECKING:
    from s2am_engine.networks.spec import Recipe
    from s2am_engine.training.cross_validation import LikenessQuality
    from s2am_engine.training.events import TrainingEvent
    from s2am_engine.training.gain import FineTuningScores
    from s2am_engine.training.photo_cache import Skipped
    from s2am_engine.training.train import TrainingPlan
    from s2am_engine.training.training_data import PairOptions

SETTINGS = ("steps", "minutes", "batch", "size", "learning_rate", "schedule", "adversarial", "clip", "average")
NETWORK_OPTIONS = ("width", "levels")
PAIR_OPTIONS = ("styles", "scenes", "without")
RESUMABLE = ("steps", "minutes")  # settings that may change when a run is resumed
DEFAULT_SHEET = Path("pairs.png")
MOST_OTHERS = 0.5  # share of backgrounds without a look on which a model of a clear look is used
NO_NAME = Path()  # the value of --sheet without a file name
PROGRESS_UNITS = {"READING": "photograph", "TRAINING": "step", "MEASURING": "image"}


class ProgressDisplay:
    """Draws a bar on stderr, and a line on stdout for each validation."""

    def __init__(self, *, quiet: bool) -> None:
        """Start without a bar; if quiet, print nothing on stdout."""
        self.quiet = quiet
        self.bar: tqdm[Any] | None = None
        self.title = ""

    def __enter__(self) -> ProgressDisplay:
        """Return the display."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self.bar:
            self.bar.close()

    def __call__(self, event: TrainingEvent) -> None:
        """Draw an event."""
        from s2am_engine.training.events import Phase

        if event.overall is not None:
            self.draw_overall(event, event.overall)
            return
        title = f"{event.phase.value} {event.subject}".strip()
        if self.bar is None or self.title != title:
            if self.bar:
                self.bar.close()
            unit = PROGRESS_UNITS[event.phase.name]
            self.bar, self.title = open_bar(unit, title), title
        if event.phase is Phase.TRAINING:
            speed = f"loss {event.loss:.4f}, {event.images_per_second:.0f} images/s"
            self.bar.set_postfix_str(speed, refresh=False)
        advance(self.bar, event.done, event.total or event.done)
        if event.validation and not self.quiet:
            mark = ", the best so far" if event.validation.is_best else ""
            tqdm.write(
                f"step {event.validation.step}: {event.validation.gain:+.2f} dB on held-out pairs{mark}; "
                f"waited for pairs {event.waiting:.0%} of the time",
                file=sys.stdout,
            )

    def draw_overall(self, event: TrainingEvent, share: float) -> None:
        """Draw the progress of all phases in one bar."""
        if self.bar is None:
            self.bar = open_share_bar()
        left = round(event.seconds_left or 0)
        self.bar.set_description_str(event.phase.value, refresh=False)
        self.bar.set_postfix_str(f"{left // 60}:{left % 60:02d} left", refresh=False)
        self.bar.update(share - self.bar.n)
        if event.enough_seconds is not None:
            minutes = max(1, round(event.enough_seconds / 60))
            print_on_stderr(f"Takes about {minutes} min: more time would not improve the model.")


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am train`."""
    parser.add_argument("--network", metavar="NAME", help="see “s2am models”")
    parser.add_argument("--data", type=Path, metavar="DIR", help="photographs, COCO's or iHarmony4's layout")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="folder of the run (default: runs/NETWORK)")
    parser.add_argument("--resume", action="store_true", help="resume the run in --folder with its options")
    parser.add_argument("--name", help="name of the trained model (default: my-NETWORK)")
    recipe = "published (the paper's own) or small (affordable on a CPU); default: small on a CPU, else published"
    parser.add_argument("--recipe", choices=("small", "published"), help=recipe)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=positive(int), help="number of steps (default: the recipe's)")
    length.add_argument("--minutes", type=positive(float), help="time limit instead of a number of steps")
    parser.add_argument(
        "--size", type=positive(int), help="side of the network's input in pixels (default: the recipe's)"
    )
    parser.add_argument("--batch", type=positive(int), help="pairs per step and process (default: the recipe's)")
    parser.add_argument("--loss", help="loss function (default: the recipe's)")
    parser.add_argument("--learning-rate", type=positive(float), help="maximum learning rate (default: the recipe's)")
    parser.add_argument("--schedule", choices=("cosine", "constant"), help="default: the recipe's")
    parser.add_argument("--adversarial", type=float, help="weight of the adversarial term (default: the recipe's)")
    parser.add_argument("--clip", type=positive(float), help="largest gradient norm (default: the recipe's)")
    parser.add_argument("--average", type=float, help="moving average of the weights (default: the recipe's)")
    precision = "mixed 16/32-bit precision (default: the recipe's)"
    parser.add_argument("--mixed-precision", action=argparse.BooleanOptionalAction, help=precision)
    parser.add_argument("--width", type=positive(int), help="the network's width (default: the recipe's)")
    parser.add_argument("--levels", type=positive(int), help="levels of an encoder-decoder (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of weights and pairs (default: %(default)s)")
    start = "model whose weights initialize the layers that both networks have (default: random weights)"
    parser.add_argument("--start", metavar="MODEL", help=start)
    add_pair_options(parser)
    add_hardware(parser)


def add_pair_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for further sources of pairs and for kinds that are left out."""
    styles = "folder of film styles, presets and camera responses that recolor the photographs"
    parser.add_argument("--styles", type=Path, metavar="DIR", help=styles)
    scenes = "folder of scenes that were photographed or developed several times"
    parser.add_argument("--scenes", type=Path, metavar="DIR", help=scenes)
    without = "leave out a kind of pairs or of recoloring; can be repeated (“--without list” lists them)"
    parser.add_argument("--without", action="append", metavar="KIND", help=without)


def pair_options(options: argparse.Namespace) -> PairOptions:
    """Return the options of `add_pair_options`.

    Raises:
        UsageError: `--without` names no kind, or lists them on request.
    """
    from s2am_engine.training.recolor_settings import KINDS
    from s2am_engine.training.training_data import PAIR_SOURCES, PairOptions

    without = options.without or []
    if not {*without} <= {*PAIR_SOURCES, *KINDS}:
        raise UsageError(f"--without takes one of: {', '.join((*PAIR_SOURCES, *KINDS))}")
    return PairOptions(options.styles, options.scenes, without)


def add_hardware(parser: argparse.ArgumentParser) -> None:
    """Add the options for threads, workers and device."""
    parser.add_argument(
        "--threads", type=positive(int), help="CPU threads for learning, at most (default: cores without a worker)"
    )
    parser.add_argument("--workers", type=int, help="threads that make pairs (default: by the network)")
    add_device(parser)


def add_pairs_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am pairs`."""
    parser.add_argument(
        "photos",
        type=Path,
        metavar="PHOTOS",
        help="folder of photographs; for “swapped”: one folder per version",
    )
    sheet = f"draw a contact sheet (default: {DEFAULT_SHEET}, or a free name)"
    parser.add_argument("--sheet", type=Path, nargs="?", const=NO_NAME, metavar="PNG", help=sheet)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write pairs in iHarmony4's layout instead")
    kind = "recolored: a region of a photograph (S-COCO); swapped: between aligned versions of one (S-Adobe5K)"
    parser.add_argument("--kind", choices=("recolored", "swapped"), type=kind_of_pairs, help=f"with -o: {kind}")
    parser.add_argument("--count", type=positive(int), default=48, help="number of pairs (default: %(default)s)")
    parser.add_argument("--size", type=positive(int), help="size in pixels (default: 192; in a data set: 512)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    add_pair_options(parser)


def kind_of_pairs(text: str) -> str:
    """Return a kind of data set; scripts for version 0.1 spell one of them in British English."""
    return "recolored" if text == "recoloured" else text


def add_finetune_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am finetune`."""
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of 20 photographs or more")
    parser.add_argument("--name", required=True, help="name of the new model")
    about = "time for everything, from reading to saving (default: %(default)s)"
    parser.add_argument("--minutes", type=positive(float), default=10.0, help=about)
    parser.add_argument("--base", default=model_store.DEFAULT_MODEL, help="model to fine-tune (default: %(default)s)")
    benchmark = "also measure on this data set in iHarmony4's layout, before and after; takes additional time"
    parser.add_argument("--benchmark", type=Path, metavar="DATASET", help=benchmark)
    sheet = "contact sheet of held-out photographs, before and after (default: NAME-before-after.png)"
    parser.add_argument("--sheet", type=Path, metavar="PNG", help=sheet)
    add_hardware(parser)


def run_train(options: argparse.Namespace) -> int:
    """Run `s2am train`."""
    from s2am_engine.training import train as training
    from s2am_engine.training.run_folder import SETTINGS_FILE

    use_threads(options.threads)
    folder, plan = resumed_run(options) if options.resume else new_run(options)
    try:
        with ProgressDisplay(quiet=options.json) as progress:
            result = training.train(
                plan, folder, resume=options.resume, device=options.device, workers=options.workers, report=progress
            )
    except KeyboardInterrupt:
        begun = (folder / SETTINGS_FILE).exists()
        again = f"“s2am train --resume --folder {folder}” resumes it" if begun else "the same command starts again"
        return fail(f"Stopped: {again}.")
    if result is None:  # the first of several processes prints the result
        return 0
    name = result.model.card.name
    if options.json:
        summary = {"model": name, "run": str(folder), "steps": result.steps, "gain": result.gain}
        print(json_text(summary))
    else:
        unit = "mean IoU of {:.3f} on held-out photographs" if plan.recipe.subjects else "{:+.2f} dB on held-out pairs"
        print(f"Trained the model “{name}” in {result.steps} steps: {unit.format(result.gain)}.")
        curves = "" if plan.recipe.subjects else f"; curves and samples: {folder / 'progress.png'}"
        print(f"Use it with --model {name}{curves}")
    return 0


def run_pairs(options: argparse.Namespace) -> int:
    """Run `s2am pairs`."""
    if options.output and options.sheet:
        raise UsageError("--sheet and --output cannot be combined")
    if options.kind and not options.output:
        raise UsageError("--kind needs --output")
    return write_pairs(options) if options.output else show_pairs(options)


def show_pairs(options: argparse.Namespace) -> int:
    """Draw the pairs that training generates."""
    from s2am_common.atomic import atomic_write
    from s2am_engine.training.events import reading_progress
    from s2am_engine.training.photo_cache import load_photographs
    from s2am_engine.training.synthetic_pairs import draw_pair_sheet
    from s2am_engine.training.training_data import PairFactory

    chosen = pair_options(options)
    size = options.size or 192
    sheet = choose_output(None if options.sheet == NO_NAME else options.sheet, DEFAULT_SHEET, suffixes=SHEET_SUFFIXES)
    with ProgressDisplay(quiet=True) as progress:
        cached = load_photographs(options.photos, None, size, reading_progress(progress))
    maker = PairFactory(size, min(options.count, 16), chosen).source(cached, options.seed)
    with atomic_write(sheet) as file:
        draw_pair_sheet(maker, options.count).save(file, "PNG")
    summary = {"sheet": str(sheet), "pairs": options.count, "photographs": len(cached)}
    print_pairs_summary(
        options, summary, cached.skipped, f"{options.count} pairs of {len(cached)} photographs: {sheet}"
    )
    return 0


def write_pairs(options: argparse.Namespace) -> int:
    """Write a data set of pairs."""
    from s2am_engine.training.dataset_writers import build_recolored, build_swapped

    sizes = {"long_side": options.size or 512, "seed": options.seed}
    with progress_bar("pair") as progress:
        if options.kind == "swapped":
            versions = sorted(path for path in options.photos.glob("*") if path.is_dir())
            built = build_swapped(versions, options.output, options.count, progress=progress, **sizes)
        else:
            built = build_recolored(options.photos, options.output, options.count, progress=progress, **sizes)
    if not built.pairs:
        reasons = Counter(file.why for file in built.skipped).most_common(1)
        raise TrainingError(
            f"No pair could be made of {options.photos} ({reasons[0][0]}): use other photographs.",
            code="training.no-pairs",
        )
    summary = {"output": str(options.output), "pairs": built.pairs}
    print_pairs_summary(options, summary, built.skipped, f"{built.pairs} pairs written to {options.output}")
    return 0


def print_pairs_summary(
    options: argparse.Namespace, summary: dict[str, Any], skipped: Sequence[Skipped], sentence: str
) -> None:
    """Print the result, and list the skipped files."""
    left_out = [{"path": str(file.path), "why": file.why} for file in skipped]
    if options.json:
        print(json_text(summary | {"skipped": left_out}))
    else:
        list_skipped(skipped)
        print(sentence)


def list_skipped(skipped: Sequence[Skipped]) -> None:
    """Print the skipped files, with the reasons."""
    for file in skipped:
        print_on_stderr(f"left out {file.path}: {file.why}")


def run_finetune(options: argparse.Namespace) -> int:
    """Run `s2am finetune`."""
    from s2am_engine.models.model_files import check_name
    from s2am_engine.training.finetune import FineTuneSettings, finetune

    use_threads(options.threads)
    check_name(options.name)
    sheet = choose_output(options.sheet, Path(f"{options.name}-before-after.png"), suffixes=SHEET_SUFFIXES)
    settings = FineTuneSettings(
        options.photos,
        options.name,
        options.base,
        options.minutes,
        benchmark=options.benchmark,
        sheet=sheet,
        device=options.device,
        workers=options.workers,
        checkpoint=user_paths().cache / "finetune" / options.name,
    )
    try:
        with ProgressDisplay(quiet=True) as progress:
            result = finetune(settings, progress)
    except KeyboardInterrupt:
        return fail("Stopped: the same command continues; no model was made yet.")
    if options.json:
        print(json_text(result.to_json() | {"sheet": str(sheet)}))
        return 0
    list_skipped(result.photographs.skipped)
    print(
        f"Learned from {len(result.photographs.all)} photographs in {result.seconds / 60:.1f} minutes. "
        f"Measured on {result.style.pairs} composites, each with photographs that were held out:"
    )
    sets = ("this look", result.style), ("other looks", result.others), ("benchmark", result.benchmark)
    for name, compared in sets:
        if compared:
            print(f"  {name:12} {describe_gain(compared)}")
    print(result.sentence + (f" Use it with --model {result.model.card.name}." if result.model else ""))
    if result.model:
        print(describe_recognition(result.recognition))
    print(f"Before and after: {sheet}")
    return 0


def describe_gain(compared: FineTuningScores) -> str:
    """Describe the change of the color error, with its interval and the PSNR, in one line."""
    words = f"color error {-compared.fmse_saved:+.1%}"
    if interval := compared.fmse_interval:
        words += f" (95 % certain: {-interval.high:+.1%} to {-interval.low:+.1%})"
    return f"{words}, PSNR {compared.psnr_gained:+.2f} dB"


def describe_recognition(quality: LikenessQuality) -> str:
    """Describe on which backgrounds a fine-tuned model is used, in one sentence."""
    used, others = quality.recognized, 1 - quality.rejected
    if others > MOST_OTHERS:
        return (
            f"This look is mild: one background hardly shows it. So the model is used on {used:.0%} of backgrounds "
            f"that have it, and on {others:.0%} of others, where its error is that of “other looks” above."
        )
    return (
        f"It recognizes {used:.0%} of backgrounds with this look. On {quality.rejected:.0%} of others, its base model "
        "is used."
    )


def new_run(options: argparse.Namespace) -> tuple[Path, TrainingPlan]:
    """Return folder and plan of a new run."""
    from s2am_engine.training.train import make_plan

    if not (options.network and options.data):
        raise UsageError("give --network and --data, or resume a run with --resume --folder DIR")
    recipe = recipe_of(options)
    start, pairs = options.start or "", pair_options(options)
    plan = make_plan(options.network, options.data, recipe, options.name, options.seed, start, pairs)
    return options.folder or Path("runs") / options.network, plan


def resumed_run(options: argparse.Namespace) -> tuple[Path, TrainingPlan]:
    """Return folder and plan of an existing run, with another number of steps or minutes if given."""
    from s2am_engine.training.train import TrainingPlan

    folder = options.folder or (Path("runs") / options.network if options.network else None)
    if folder is None:
        raise UsageError("--resume needs --folder DIR, the folder of the run")
    for name in ("recipe", "name", "start", "loss", "mixed_precision", *PAIR_OPTIONS, *SETTINGS, *NETWORK_OPTIONS):
        if name not in RESUMABLE and getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} cannot change when a run is resumed")
    plan = TrainingPlan.read(folder)
    changes = given(options, *RESUMABLE)
    if changes:
        plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, **{"minutes": None} | changes))
    return folder, plan


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the network's recipe with the changes of the options."""
    from s2am_engine.inference.devices import CPU, choose_device
    from s2am_engine.networks.registry import RECIPES
    from s2am_engine.training.losses import LOSSES

    kind = options.recipe or ("small" if choose_device(options.device) == CPU else "published")
    if options.network not in RECIPES[kind]:
        raise UsageError(f"--network must be one of {', '.join(sorted(RECIPES[kind]))}")
    recipe = RECIPES[kind][options.network]
    changes = given(options, *SETTINGS, "mixed_precision")
    if options.loss is not None:
        if options.loss not in LOSSES:
            raise UsageError(f"--loss must be one of {', '.join(sorted(LOSSES))}")
        changes["loss"] = options.loss
    if "steps" in changes:
        changes["minutes"] = None
    return dataclasses.replace(recipe, options={**recipe.options, **given(options, *NETWORK_OPTIONS)}, **changes)


def given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options among `names` that were given."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads for computation."""
    if threads:
        import torch

        torch.set_num_threads(threads)


TRAINING_COMMANDS = (
    CommandSpec(
        "pairs",
        "Draw the pairs that training makes from photographs, or write a data set of pairs.",
        add_pairs_arguments,
        run_pairs,
    ),
    CommandSpec(
        "train",
        "Train a network on photographs, or on pairs in iHarmony4's layout; torchrun distributes it over GPUs.",
        add_train_arguments,
        run_train,
    ),
    CommandSpec(
        "finetune",
        "Fine-tune a model on your own photographs, and keep the better of the two. Nothing leaves the machine.",
        add_finetune_arguments,
        run_finetune,
    ),
)
