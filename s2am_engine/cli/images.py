# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that work on images: `harmonize`, `detect`, `cutout`, `bench`."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from s2am_common.errors import ImageError, MaskError
from s2am_common.image_formats import IMAGE_FORMATS, WRITABLE_SUFFIXES
from s2am_common.path_checks import file_exists
from s2am_engine.batch import BatchItem, plan_batch
from s2am_engine.cli.batches import Sources, add_images, batch_sources, run_on_images
from s2am_engine.cli.mask_options import add_edge_sliders, add_invert_mask, add_mask_meaning, given_edges, mask_meaning
from s2am_engine.cli.outputs import check_named_output, choose_output
from s2am_engine.cli.terminal import (
    CommandSpec,
    UsageError,
    add_device,
    add_finish,
    add_shadow_sliders,
    add_sliders,
    given_finish,
    given_shadow,
    given_sliders,
    json_text,
    position,
    status_line,
)
from s2am_engine.color.adjustments import Sliders
from s2am_engine.file_harmonizer import (
    MAP_SUFFIXES,
    SHADOW_SUFFIXES,
    FileHarmonizer,
    FileJob,
    FileResult,
    describe_detection,
    describe_result,
    load_with_notes,
    with_file_name,
)
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from s2am_engine.image.mask_edges import refine_edges
from s2am_engine.image.mask_reading import invert_mask
from s2am_engine.image.masks import MASK_SUFFIXES, mask_image
from s2am_engine.image.paste import limit_alpha
from s2am_engine.inference.detector import Detection, Detector
from s2am_engine.inference.subject import SubjectResult, SubjectSelector
from s2am_engine.mask_files import find_mask_file
from s2am_engine.models import downloads, model_store
from s2am_engine.models.purposes import HARMONIZATION
from s2am_engine.outputs import default_mask_output, default_output

if TYPE_CHECKING:
    from s2am_engine.cli.training_benchmark import TrainingSpeed

SUBJECT = Path("subject")
"""Value of `--mask` that stands for the subject of the photograph, unless a file has this name."""

ALPHA_SUFFIXES = tuple(suffix for info in IMAGE_FORMATS if info.alpha and info.summary for suffix in info.suffixes)
"""Endings of the files that are written with transparency."""

FURTHER_OUTPUTS = {"--save-map": MAP_SUFFIXES, "--save-mask": MASK_SUFFIXES, "--save-shadow": SHADOW_SUFFIXES}
"""The options of `harmonize` for files besides the result, with the endings of these files."""

FoundT = TypeVar("FoundT", "Detection", "SubjectResult")

BATCH_MASKS = "--masks DIR, --auto-mask or --mask subject"


def add_harmonize_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am harmonize`."""
    formats = ", ".join(info.name for info in IMAGE_FORMATS)
    add_images(parser, "COMPOSITE", f"an image ({formats}) or a cutout layer; several images, or a folder")
    source = parser.add_mutually_exclusive_group()
    about = "white = foreground, or “subject” for the subject of the photograph (default: the image's alpha)"
    source.add_argument("--mask", type=Path, metavar="MASK", help=about)
    source.add_argument("--auto-mask", action="store_true", help="detect the foreground of a flattened composite")
    source.add_argument(
        "--masks", type=Path, metavar="DIR", help="for a folder or several images: masks with their names"
    )
    about = "image to paste the layer on; the layer's mask is --mask, or else its alpha"
    parser.add_argument("--background", type=Path, help=about)
    add_mask_meaning(parser)
    about = "upper left corner of the layer on the background (default: centered; may be negative)"
    parser.add_argument("--at", type=position, metavar="X,Y", help=about)
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="output file or folder")
    about = "one to twenty photographs to whose look the foreground is matched; the background counts as one more"
    parser.add_argument("--reference", type=Path, nargs="+", action="extend", metavar="PHOTO", help=about)
    add_model_option(parser)
    about = "also write the color map with sliders, to a .json or .cube file"
    parser.add_argument("--save-map", type=Path, metavar="MAP", help=about)
    about = "also write the mask that was used, with its edges, as a gray image of the size of the result"
    parser.add_argument("--save-mask", type=Path, metavar="MASK", help=about)
    about = "for research: the network's own pixels, enlarged, instead of its color map"
    parser.add_argument("--native", action="store_true", help=about)
    add_device(parser)
    add_edge_sliders(parser)
    add_sliders(parser)
    add_finish(parser)
    add_shadow_sliders(parser)


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add the option `--model`: the name or file of the model that recolors."""
    about = "name of a model, see “s2am models”, or file of an exported one (default: %(default)s)"
    parser.add_argument("--model", default=model_store.default_model(), help=about)


def run_harmonize(options: argparse.Namespace) -> int:
    """Run `s2am harmonize`."""
    check_combinations(options)
    files = file_harmonizer(options)
    mask = None if files.subject else options.mask
    if sources := batch_sources(options, alone=bool(options.masks)):
        if mask or options.background or options.save_map or options.save_mask:
            others = "not a single mask, --background, --save-map or --save-mask"
            raise UsageError(f"a folder or several images need {BATCH_MASKS}; {others}")
        if not (options.masks or options.auto_mask or files.subject):
            raise UsageError(f"a folder or several images need {BATCH_MASKS}")
        return harmonize_images(options, sources, files)
    composite: Path = options.images[0]
    output = choose_outputs(options, composite, [path for path in (composite, mask, options.background) if path])
    with status_line() as status:
        job = FileJob(
            composite,
            output,
            mask,
            options.background,
            options.at,
            save_map=options.save_map,
            save_mask=options.save_mask,
            save_shadow=options.save_shadow,
        )
        result = files.harmonize_file(job, status)
    print(json_text(described(files, result)) if options.json else result.output)
    return 0


def check_combinations(options: argparse.Namespace) -> None:
    """Check the options of `s2am harmonize` that exclude or need each other.

    Raises:
        UsageError: a combination without a meaning.
    """
    changes = given_sliders(options) or given_finish(options)
    if options.at and not options.background:
        raise UsageError("--at needs --background")
    if given_shadow(options) is not None and not options.background:
        raise UsageError("a shadow needs --background")
    if options.save_map and options.save_map.suffix.lower() not in MAP_SUFFIXES:
        raise UsageError("--save-map needs a .json or .cube file")
    if options.native and (changes or options.save_map or options.background or options.reference):
        raise UsageError("--native cannot be combined with sliders, a finish, --save-map, --background or --reference")
    if options.background and (options.auto_mask or options.masks):
        raise UsageError("--background cannot be combined with --auto-mask or --masks: the mask is the layer's")


def file_harmonizer(options: argparse.Namespace) -> FileHarmonizer:
    """Return the settings of `s2am harmonize`."""
    return FileHarmonizer(
        options.model,
        options.device,
        Sliders.from_values(given_sliders(options)),
        given_finish(options),
        native=options.native,
        auto_mask=options.auto_mask,
        subject=options.mask == SUBJECT and not file_exists(SUBJECT),
        references=options.reference or (),
        shadow=given_shadow(options),
        mask_options=mask_meaning(options),
        edges=given_edges(options),
    )


def choose_outputs(options: argparse.Namespace, composite: Path, inputs: Sequence[Path]) -> Path:
    """Return the file of the result, after checking all files to write; see `choose_output`.

    Raises:
        UsageError: two options name the same file.
        FileError: a file cannot be written, or is to be kept.
    """
    default = default_output(options.background or composite, composite.stem)
    output = choose_output(options.output, default, inputs=inputs, suffixes=WRITABLE_SUFFIXES)
    taken = {output.resolve(): "-o"}
    for option, suffixes in FURTHER_OUTPUTS.items():
        path: Path | None = getattr(options, option.removeprefix("--").replace("-", "_"))
        if path:
            if other := taken.get(path.resolve()):
                raise UsageError(f"{option} and {other} name the same file")
            taken[path.resolve()] = option
            check_named_output(path, inputs=inputs, suffixes=suffixes)
    return output


def described(files: FileHarmonizer, result: FileResult) -> dict[str, Any]:
    """Return a result as JSON values, with the harmony scores."""
    return describe_result(files, result) | {"harmony": files.harmony_scores(result)}


def harmonize_images(options: argparse.Namespace, sources: Sources, files: FileHarmonizer) -> int:
    """Harmonize a folder or several images; the exit code is 1 if no image was harmonized."""

    def process(item: BatchItem) -> dict[str, Any]:
        mask = find_mask_file(item.source, options.masks) if options.masks else None
        result = files.harmonize_file(FileJob(item.source, item.output, mask))
        return described(files, result) if options.json else {}

    with status_line() as status:
        files.load(status)
    return run_on_images(options, plan_batch(sources, options.output, options.masks), process, "images harmonized")


def add_detect_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am detect`."""
    add_images(parser, "COMPOSITE", "an image; several, or a folder")
    about = "output file or folder (default: COMPOSITE-mask.png, or a free name, next to the composite)"
    parser.add_argument("-o", "--output", type=Path, metavar="MASK", help=about)
    about = "write the likeliest region also if the model considers the image not to be a composite"
    parser.add_argument("--likeliest", action="store_true", help=about)
    parser.add_argument("--model", default=model_store.DETECTOR, help="a mask-free model (default: %(default)s)")
    add_device(parser)
    add_invert_mask(parser)
    add_edge_sliders(parser)


def run_detect(options: argparse.Namespace) -> int:
    """Run `s2am detect`."""

    @functools.cache
    def detector() -> Detector:
        return Detector(options.model, options.device)

    def detect(image: ImageData) -> tuple[Detection, str]:
        return detector().detect(image, likeliest=options.likeliest), detector().name

    source: Path = options.images[0]
    writer = MaskWriter(options, "detecting the foreground", detector, detect)
    if sources := batch_sources(options):
        return write_masks_of_batch(writer, sources, "masks written")
    output = choose_output(options.output, default_mask_output(source), inputs=[source], suffixes=WRITABLE_SUFFIXES)
    return write_mask_of_file(writer, source, output)


@dataclass(frozen=True)
class MaskWriter(Generic[FoundT]):
    """Predicts masks of image files and writes them, for `s2am detect` and `s2am cutout`.

    options: those of `add_invert_mask` and `add_edge_sliders`, `output`, and `json`.
    step: description of `find`.
    load: loads the model, once.
    find: returns the detection or selected subject, and the name of the model; loads it if necessary, so that a file
        that cannot be read is refused at once.
    cutout: the image is written with the mask as its transparency, not the mask.
    """

    options: argparse.Namespace
    step: str
    load: Callable[[], object]
    find: Callable[[ImageData], tuple[FoundT, str]]
    cutout: bool = False

    def write(self, source: Path, output: Path, status: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Find the region of an image file, write its mask or its cutout, and return a description."""
        status(f"reading {source}")
        image = load_with_notes(source)
        status(self.step)
        try:
            predicted, model = self.find(image)
            mask = invert_mask(predicted.mask) if self.options.invert_mask else predicted.mask
            status("refining the edges of the mask")
            edges = given_edges(self.options)
            predicted = dataclasses.replace(predicted, mask=refine_edges(mask, edges, image.pixels))
        except (ImageError, MaskError) as error:
            raise with_file_name(error, source) from error
        status(f"writing {output}")
        save_image(output, limit_alpha(image, predicted.mask) if self.cutout else mask_image(predicted.mask))
        return {"input": str(source), "output": str(output), "model": model} | describe_detection(predicted)


def write_mask_of_file(writer: MaskWriter[Any], source: Path, output: Path) -> int:
    """Find the region of an image, and print the output or its description."""
    with status_line() as status:
        summary = writer.write(source, output, status)
    print(json_text(summary) if writer.options.json else output)
    return 0


def write_masks_of_batch(writer: MaskWriter[Any], sources: Sources, done: str) -> int:
    """Find a region in each image of a batch; see `run_on_images`."""
    writer.load()  # an error concerns all images
    items = plan_batch(sources, writer.options.output)
    return run_on_images(writer.options, items, lambda item: writer.write(item.source, item.output), done)


def add_cutout_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am cutout`."""
    add_images(parser, "PHOTO", "an image; several, or a folder")
    about = (
        "output file or folder (default: PHOTO-cutout, as PNG or in the format of a TIFF or WebP file, or "
        "PHOTO-mask.png, or a free name, next to the photograph)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=about)
    parser.add_argument("--mask-only", action="store_true", help="write the mask, white = subject, not the cutout")
    about = "select the likeliest subject also if the photograph has no clear one"
    parser.add_argument("--likeliest", action="store_true", help=about)
    about = "{} (built in) or {}, see “s2am models install” (default: the latter if it is installed)"
    names = model_store.SUBJECT_MODEL, " or ".join(downloads.DOWNLOADS)
    parser.add_argument("--model", default="", metavar="NAME", help=about.format(*names))
    add_device(parser)
    add_invert_mask(parser)
    add_edge_sliders(parser)


def run_cutout(options: argparse.Namespace) -> int:
    """Run `s2am cutout`."""

    @functools.cache
    def selector() -> SubjectSelector:
        return SubjectSelector(options.model, options.device)

    def select(image: ImageData) -> tuple[SubjectResult, str]:
        selected = selector().select(image, likeliest=options.likeliest)
        return selected, selected.model

    source: Path = options.images[0]
    writer = MaskWriter(options, "selecting the subject", selector, select, cutout=not options.mask_only)
    if sources := batch_sources(options):
        return write_masks_of_batch(writer, sources, "masks written" if options.mask_only else "images cut out")
    default = default_mask_output(source) if options.mask_only else default_output(source, source.stem, "-cutout")
    suffixes = WRITABLE_SUFFIXES if options.mask_only else ALPHA_SUFFIXES
    return write_mask_of_file(
        writer, source, choose_output(options.output, default, inputs=[source], suffixes=suffixes)
    )


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am bench`."""
    add_model_option(parser)
    add_device(parser)
    about = "instead, compare 24 megapixels on this machine as it is and beside as many busy processes as cores"
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--busy", action="store_true", help=about)
    about = "instead, measure training: pairs a second that are made, learned from, and both together"
    instead.add_argument("--training", action="store_true", help=about)


def run_bench(options: argparse.Namespace) -> int:
    """Run `s2am bench`."""
    from s2am_engine.cli import benchmark

    with status_line() as status:
        if options.busy:
            busy = benchmark.measure_busy(options.model, options.device, status)
            results, table = busy.to_json(), busy.to_table()
        elif options.training:
            training = run_training_benchmark(options, status)
            results, table = training.to_json(), training.to_table()
        else:
            sizes = benchmark.measure_sizes(options.model, options.device, status)
            results, table = {"sizes": [item.to_json() for item in sizes]}, benchmark.to_table(sizes)
    machine = benchmark.describe_machine()
    if options.json:
        print(json_text({"machine": machine, "model": options.model, **results}))
    else:
        print(f"{machine}\n{table}")
    return 0


def run_training_benchmark(options: argparse.Namespace, status: Callable[[str], None]) -> TrainingSpeed:
    """Measure the speed of training; the module needs PyTorch.

    Raises:
        EngineError: PyTorch is not installed, or an error of `training_benchmark.measure_training`.
    """
    model_store.check_torch(model_store.find_model(options.model, HARMONIZATION).card)
    from s2am_engine.cli import training_benchmark

    return training_benchmark.measure_training(options.model, options.device, status)


IMAGE_COMMANDS = (
    CommandSpec(
        "harmonize",
        "Recolor the foreground of a composite, of a layer on a background, or of several composites.",
        add_harmonize_arguments,
        run_harmonize,
    ),
    CommandSpec("detect", "Detect the pasted region of a flattened composite.", add_detect_arguments, run_detect),
    CommandSpec(
        "cutout",
        "Select the subject of a photograph: write it with transparent surroundings, or its mask.",
        add_cutout_arguments,
        run_cutout,
    ),
    CommandSpec("bench", "Measure time and memory at 1, 8 and 24 megapixels.", add_bench_arguments, run_bench),
)
