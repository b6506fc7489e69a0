# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `evaluate`: measures models that harmonize, detectors, and models that select subjects."""

from __future__ import annotations

import argparse
from pathlib import Path

from s2am_common.atomic import atomic_write
from s2am_common.errors import ModelError
from s2am_engine.cli.outputs import SHEET_SUFFIXES, choose_output
from s2am_engine.cli.terminal import CommandSpec, UsageError, add_device, json_text, progress_bar, sentence_of
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.subject import SubjectSelector
from s2am_engine.models import model_store

EVALUATION_SHEET = Path("evaluation.png")


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am evaluate`."""
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("--model", action="append", metavar="NAME", help="may be given several times")
    about = "measure the networks' own pixels, at their own size, as the papers do"
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--native", action="store_true", help=about)
    source.add_argument("--auto-mask", action="store_true", help="detect the masks instead of reading the data set's")
    about = "measure a detector instead: on the composites, and on their targets, which contain nothing pasted"
    source.add_argument("--detect", action="store_true", help=about)
    about = "measure a model that selects subjects instead: on photographs with label maps of their subjects"
    source.add_argument("--subject", action="store_true", help=about)
    parser.add_argument("--split", help="with --subject: measure the photographs of this split (default: val)")
    about = f"contact sheet, sorted by gain, the least first (default: {EVALUATION_SHEET}, or a free name)"
    parser.add_argument("--sheet", type=Path, metavar="PNG", help=about)
    parser.add_argument("--yes", action="store_true", help="replace an existing contact sheet without a question")
    add_device(parser)


def run_evaluate(options: argparse.Namespace) -> int:
    """Run `s2am evaluate`."""
    from s2am_engine.training.evaluation import EvaluationOptions, evaluate_harmonizers
    from s2am_engine.training.perceptual import PerceptualDistance

    if options.split and not options.subject:
        raise UsageError("--split needs --subject")
    if options.detect:
        return run_evaluate_detector(options)
    if options.subject:
        return run_evaluate_subjects(options)
    names = options.model or [model_store.default_model()]
    # The sheet's file comes first: a question or an error should not come after an hour of measuring.
    file = choose_output(options.sheet, EVALUATION_SHEET, suffixes=SHEET_SUFFIXES, yes=options.yes)
    try:
        perceptual, left_out = PerceptualDistance.load(), ""
    except ModelError as error:
        perceptual, left_out = None, sentence_of(error)
    with atomic_write(file) as sheet, progress_bar("image") as progress:
        harmonizers = [Harmonizer(name, options.device) for name in names]
        detector = Detector(device=options.device) if options.auto_mask else None
        measured = EvaluationOptions(options.native, detector, perceptual)
        evaluation = evaluate_harmonizers(options.dataset, harmonizers, measured, sheet=sheet, progress=progress)
    if options.json:
        print(json_text(evaluation.to_json() | ({"left_out": left_out} if left_out else {})))
    else:
        print(evaluation.to_table())
        if left_out:
            print(f"left out: {left_out}")
        print(f"contact sheet: {file}")
    return 0


def run_evaluate_detector(options: argparse.Namespace) -> int:
    """Run `s2am evaluate --detect`."""
    from s2am_engine.training.detector_evaluation import evaluate_detector

    names = options.model or [model_store.DETECTOR]
    with progress_bar("image") as progress:
        evaluations = [
            evaluate_detector(options.dataset, Detector(name, options.device), progress=progress) for name in names
        ]
    if options.json:
        print(json_text([evaluation.to_json() for evaluation in evaluations]))
    else:
        print("\n\n".join(evaluation.to_table() for evaluation in evaluations))
    return 0


def run_evaluate_subjects(options: argparse.Namespace) -> int:
    """Run `s2am evaluate --subject`."""
    from s2am_engine.training.subject_evaluation import evaluate_subjects

    names = options.model or [model_store.SUBJECT_MODEL]
    if len(names) > 1:
        raise UsageError("--subject measures one --model at a time")
    file = choose_output(options.sheet, EVALUATION_SHEET, suffixes=SHEET_SUFFIXES, yes=options.yes)
    selector = SubjectSelector(names[0], options.device)
    with atomic_write(file) as sheet, progress_bar("image") as progress:
        evaluation, drawn = evaluate_subjects(
            options.dataset, selector, split=options.split or "val", progress=progress
        )
        drawn.save(sheet, "PNG")
    print(json_text(evaluation.to_json()) if options.json else f"{evaluation.to_table()}\ncontact sheet: {file}")
    return 0


EVALUATION_COMMANDS = (
    CommandSpec(
        "evaluate",
        "Measure models on composites with ground truth (in iHarmony4's layout).",
        add_evaluate_arguments,
        run_evaluate,
    ),
)
