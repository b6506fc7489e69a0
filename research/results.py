# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.results --runs FOLDER`: write the results page, docs/results.md, from measured figures.

`docs/results.json` keeps what `comparison.py` measured; without `--runs` the page is made from it again. What
`ablation.py` measured is in `docs/ablation.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from research import console
from research.ablation import EVERYTHING, GROUPS
from research.comparison import SYSTEMS
from research.preference import PUBLISHED_NAME, PreferenceScore, read_scores, to_table
from research.published import PUBLISHED
from s2am_common.atomic import atomic_write
from s2am_common.errors import EngineError
from s2am_engine.models.model_store import DEFAULT_MODEL, find_model, list_models

Results = dict[str, dict[str, Any]]

# Heading of each section, and the pairs of systems that it compares.
QUESTIONS = {
    "Does S2AM's separation help over other blocks in the skips?": [
        ("s2am-s2asc", other) for other in ("unet", "unet-conv", "unet-se", "unet-cbam")
    ],
    "Is S2AD better than S2ASC?": [("s2am-s2ad", "s2am-s2asc"), ("s2am-s2ad", "unet")],
    "Which parts of S2AM matter?": [
        ("s2am-s2asc", f"s2am-s2asc{without}")
        for without in ("-no-gates", "-no-mix", "-no-gaussian", "-no-learnable", ", four scales")
    ],
    "Does S2AM help other backbones?": [("dih-s2asc", "dih"), ("pix2pix-s2asc", "pix2pix")],
    "Does an adversary help?": [("pix2pix", "unet"), ("s2am-mask-free", "s2am-mask-free, no GAN")],
    "Does the attention loss help without a mask?": [("s2am-mask-free", "s2am-mask-free, no attention loss")],
    "Which parts of FMM matter?": [
        ("fmm", other) for other in ("fmm-backbone", "fmm-no-modulation", "fmm-no-attention")
    ],
    "Does Cascaded-CRM help?": [("s2crnet-cascaded", "s2crnet")],
    "Does the published loss do as well as ours here?": [
        (f"{name}, published loss", name) for name in ("unet", "s2am-s2ad", "pix2pix", "s2crnet", "s2am-mask-free")
    ],
    "Does this project's own network do better than the published ones?": [
        ("concord", other) for other in ("s2crnet", "s2am-s2ad", "fmm")
    ],
}

INTRODUCTION = """\
Every system was trained alike: {steps:,} steps of {batch} pairs at {size}×{size} from the same {photographs:,}
photographs in the same order, Adam with {learning_rate:g} falling along a cosine, averaged weights, and, where its row
states no other loss, `{loss}`. All of them then harmonized the same {count} composites with known
ground truth (untouched: {untouched:.2f} dB).
"""

LEGEND = """\
PSNR, MSE, fMSE and SSIM: full size, through the fitted color map, as in normal use. Own pixels: the gain in dB of
the network's own output at its input size, as measured in the papers. Worse: images whose result is more than 1 dB
below their composite. IoU: of the predicted mask with the true one. Published: figures of the papers, on their own
data. “Four scales”: all skips of a UNet of five levels; the paper uses six of eight.
"""

REASONS = """\
- **Data.** The papers train on 43,000 (S-COCO) or 65,000 (iHarmony4) pairs and test on pairs made in the same way. Here
  the pairs are recolored regions of {photographs:,} photographs, and the test composites come from other photographs
  and, in part, have kinds of changes that do not occur in training (look-up tables, other people's retouching).
- **Budget.** The papers train for 60 to 120 epochs at 256×256 on GPUs; here, training takes
  minutes on one CPU core ({pictures:,} pairs at {size}×{size}), with the encoder-decoders at a quarter of their width.
  The ranking after minutes may differ from that after days: systems with more to learn are at a disadvantage.
- **Test.** PSNR here is of full-size pictures whose composites start at {untouched:.2f} dB; S-COCO's start at 26.62 dB
  but come from one recoloring model that a network can learn to invert. Figures cannot be compared across data
  sets; the gain from each component can, with care.
- **Rendering.** The papers predict pixels at 256×256. Here a color map is fitted to the predicted pixels and applied
  at full size, weighted by the agreement of four augmented views; “own pixels” are the network's output at
  {size}×{size}.
- **Start.** The encoder-decoders and S2CRNet start from layers that pass colors on (`init_identity_channels`),
  and those that predict pixels predict a residual; the papers start from ImageNet weights (S2CRNet) or at random.
- **Chance.** Each system was trained once. The 95 % intervals cover the variation over the {count} composites, not
  over repeated training runs, which would widen them.
"""

RECOLORINGS = """\
Each row: {network} trained with all kinds of pairs and of recoloring against the same without some of them, for
{steps:,} steps of {batch} pairs at {size} pixels, and measured on the {count} real composites. The held-out pairs
have all kinds, so leaving some out lowers the gain there; the relevant result is that on the composites, whose changes
have other sources. After so few steps and on so few composites, a negative difference does not prove a kind useless.
"""

REAL = """\
{pictures} composites of the field's own test data (iHarmony4: HAdobe5k, HFlickr, Hday2night), which nobody here made.
The other systems' figures are their authors' own results for the same images, after training on iHarmony4's 65,742
pairs; none of our models has seen a pair of iHarmony4.
"""

BUNDLED = """\
Trained for longer, as described in their cards (`s2am models --json`); measured on the {real} real composites and on
the {benchmark} composites of the comparison. The IoU of `dissonance` is that of the likeliest region.
"""

PREFERENCES = """\
People saw a composite and two results on random sides, without names, and chose the more natural one
(`python -m research.preference`). Bradley-Terry scores are logarithms of strengths, 0 on average: a model one point
above another is preferred in 73 % of the comparisons.
"""

OTHERS = {"Harmonizer": 30.5, "DCCF": 31.5, "PCT-Net CNN": 31.4, "PCT-Net ViT": 35.0}
"""Mean PSNR in dB of other systems on the same real composites (their published results for each image)."""
UNTOUCHED_REAL = 23.9

LEFTMOST = -1.0  # dB on the chart: larger losses would compress the rest of the chart


@dataclass(frozen=True)
class GainDifference:
    """Difference between two systems' mean gains on the same images."""

    mean: float  # dB
    margin: float  # dB, half of the 95 % interval

    @property
    def verdict(self) -> str:
        """Verdict in words."""
        if self.mean - self.margin > 0:
            return "yes"
        return "no, worse" if self.mean + self.margin < 0 else "inconclusive"


def compare(one: list[float], other: list[float]) -> GainDifference:
    """Return the mean difference of two systems' gains in dB over the same images, with its 95 % interval."""
    differences = np.subtract(one, other)
    return GainDifference(
        float(differences.mean()), 1.96 * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    )


def make_page(results: Results, ablation: Results, preferences: Sequence[PreferenceScore] = ()) -> str:
    """Return the page in Markdown.

    Args:
        results: figures of `comparison.Study.train_and_measure`, by system.
        ablation: the same, by the group that `ablation.py` left out.
        preferences: scores of a preference test; without any the page has no section about it.
    """
    untouched = next(iter(results.values()))["map"]["untouched"]
    count = len(next(iter(results.values()))["map"]["gains"])
    recipe = next(iter(results.values()))["recipe"]
    facts = recipe | {
        "pictures": recipe["steps"] * recipe["batch"],
        "untouched": untouched["psnr"],
        "count": count,
    }
    parts = [
        "# Results",
        "*Made by `python -m research.results`; not written by hand.*",
        "## Real composites",
        REAL.format(pictures=bundled_figures(DEFAULT_MODEL, "real")["pictures"]),
        real_table(),
        "## Comparison of networks",
        INTRODUCTION.format(**facts),
        "![Gain over the untouched composites, with 95 % intervals](results.png)",
        "## All systems",
        table(results),
        LEGEND,
        "## Questions",
        *(answer(question, pairs, results) for question, pairs in QUESTIONS.items()),
        "## Which kinds of pairs and of recoloring help?",
        RECOLORINGS.format(
            network=ablation[EVERYTHING]["network"],
            count=len(ablation[EVERYTHING]["map"]["gains"]),
            **ablation[EVERYTHING]["recipe"],
        ),
        recolorings(ablation),
        "## Why the figures differ from the papers'",
        REASONS.format(**facts),
        "## The bundled models",
        BUNDLED.format(**{name: bundled_figures(DEFAULT_MODEL, name)["pictures"] for name in ("real", "benchmark")}),
        bundled_table(),
        *(("## Which looks more natural?", PREFERENCES, to_table(preferences)) if preferences else ()),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(results: Results) -> str:
    """Return the table of all systems."""
    lines = [
        "| system | parameters | loss | PSNR | MSE | fMSE | SSIM | worse | own pixels | IoU | published |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in results.items():
        row = found["map"]
        own = found["native"]["psnr"] - found["native"]["untouched"]["psnr"]
        loss = found["loss"] or "none"
        if found["adversarial"]:
            loss += f" + {found['adversarial']:g} GAN"
        published = PUBLISHED[name].text if name in PUBLISHED else ""
        lines.append(
            f"| {name} | {found['parameters'] / 1e6:.2f} M | {loss} | {row['psnr']:.2f} | {row['mse']:.0f} | "
            f"{row['fmse']:.0f} | {row['ssim']:.4f} | {row['worse_by_1db']} | {own:+.2f} | {row.get('iou', '')} | "
            f"{published} |"
        )
    return "\n".join(lines)


def answer(question: str, pairs: list[tuple[str, str]], results: Results) -> str:
    """Return a question with its table."""
    lines = [
        f"### {question}",
        "",
        "| | held-out pairs | | composites, full size | | published |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one, other in pairs:
        cells = " | ".join(differences(results[one], results[other]))
        lines.append(f"| {one} over {other} | {cells} | {published_difference(one, other)} |")
    return "\n".join(lines)


def recolorings(ablation: Results) -> str:
    """Return the table of the ablation."""
    lines = [
        "| with | kinds | held-out pairs | | composites, full size | | worse, with / without |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    whole = ablation[EVERYTHING]
    for name, kinds in GROUPS.items():
        worse = f"{whole['map']['worse_by_1db']} / {ablation[name]['map']['worse_by_1db']}"
        lines.append(f"| {name} | {', '.join(kinds)} | {' | '.join(differences(whole, ablation[name]))} | {worse} |")
    return "\n".join(lines)


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return the differences of two systems on held-out pairs and on composites, each with a verdict."""
    cells = []
    for found in (
        compare(first["held_out"], second["held_out"]),
        compare(first["map"]["gains"], second["map"]["gains"]),
    ):
        cells += [f"{found.mean:+.2f} ± {found.margin:.2f} dB", found.verdict]
    return cells


def published_difference(one: str, other: str) -> str:
    """Return the difference that the papers print for two systems; empty across data sets."""
    if one in PUBLISHED and other in PUBLISHED and PUBLISHED[one].dataset == PUBLISHED[other].dataset:
        return f"{PUBLISHED[one].psnr - PUBLISHED[other].psnr:+.2f} dB"
    return ""


def bundled_figures(model: str, dataset: str) -> dict[str, Any]:
    """Return a bundled model's figures on `real` or `benchmark` from its card."""
    figures: dict[str, Any] = find_model(model).card.figures[dataset]
    return figures


def real_table() -> str:
    """Return the ranking of bundled models and other systems on real composites."""
    rows = [(f"{system} (its authors)", psnr) for system, psnr in OTHERS.items()] + [("untouched", UNTOUCHED_REAL)]
    for model in list_models():
        figures = model.card.figures.get("real", {}) if model.bundled else {}
        if "psnr" in figures:
            rows.append((f"**{model.card.name}**", figures["psnr"]))
    lines = ["| system | PSNR, dB |", "| --- | --- |"]
    return "\n".join(lines + [f"| {name} | {psnr:.1f} |" for name, psnr in sorted(rows, key=lambda row: -row[1])])


def bundled_table() -> str:
    """Return the table of bundled models from their cards."""
    lines = [
        "| model | parameters | file | input | real: PSNR | worse | IoU | PSNR | MSE | fMSE | SSIM | worse | IoU |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for model in list_models():
        card = model.card
        if not model.bundled or not {"psnr", "iou_likeliest"} & card.figures.get("real", {}).keys():
            continue  # the models that select subjects and predict light have other figures
        real, found = card.figures["real"], card.figures["benchmark"]
        cells = [card.name, f"{card.parameters / 1e6:.2f} M", f"{card.size / 1e6:.1f} MB", str(card.input_size)]
        if "psnr" in found:
            cells += [f"{real['psnr']:.2f}", str(real["worse_by_1db"]), str(real.get("iou", ""))]
            cells += [f"{found['psnr']:.2f}", f"{found['mse']:.0f}", f"{found['fmse']:.0f}", f"{found['ssim']:.4f}"]
            cells += [str(found["worse_by_1db"]), str(found.get("iou", ""))]
        else:  # it recolors nothing
            cells += ["", "", f"{real['iou_likeliest']}", *[""] * 5, f"{found['iou_likeliest']}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_chart(results: Results, path: Path) -> None:
    """Draw each system's mean gain with its 95 % interval.

    Args:
        results: as for `make_page`.
        path: the PNG.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    ranked = sorted(results, key=lambda name: float(np.mean(results[name]["map"]["gains"])))
    gains = [np.asarray(results[name]["map"]["gains"]) for name in ranked]
    margins = [1.96 * one.std(ddof=1) / math.sqrt(len(one)) for one in gains]
    figure, axes = plt.subplots(figsize=(9, 0.3 * len(ranked) + 1.2), layout="constrained")
    axes.barh(ranked, [one.mean() for one in gains], xerr=margins, color="#7a9cc6", ecolor="#333333", capsize=2)
    axes.set_xlim(left=max(LEFTMOST, axes.get_xlim()[0]))
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.set_xlabel("mean PSNR gain over the untouched composites, dB (bars: 95 % interval over images)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.01)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=110)
    plt.close(figure)


def collect(runs: Path) -> Results:
    """Read the comparison's figures in the order of its systems.

    Raises:
        EngineError: a system has not been measured yet.
    """
    missing = [name for name in SYSTEMS if not (runs / f"{name}.json").is_file()]
    if missing:
        raise EngineError(f"Not measured yet: {', '.join(missing)}. Run the comparison to its end.")
    return {name: json.loads((runs / f"{name}.json").read_text(encoding="utf-8")) for name in SYSTEMS}


def main() -> int:
    """Parse the command line and make the page."""
    parser = argparse.ArgumentParser(prog="python -m research.results", description=__doc__)
    parser.add_argument("--runs", type=Path, help="the comparison's folder; default: the figures in docs/results.json")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="default: %(default)s")
    arguments = parser.parse_args()
    return console.run(lambda: write_page(arguments.docs, arguments.runs))


def write_page(docs: Path, runs: Path | None) -> None:
    """Write results.md and results.png, and with the comparison's folder first results.json."""
    kept = docs / "results.json"
    if runs:
        with atomic_write(kept) as file:
            file.write((json.dumps(collect(runs)) + "\n").encode())
    if not kept.is_file():
        raise EngineError(f"There is no {kept} yet: give the comparison's folder with --runs.")
    left_out = docs / "ablation.json"
    if not left_out.is_file():
        raise EngineError(f"There is no {left_out} yet: run python -m research.ablation to its end.")
    results, ablation = (json.loads(file.read_text(encoding="utf-8")) for file in (kept, left_out))
    with atomic_write(docs / "results.md") as file:
        file.write(make_page(results, ablation, read_scores(docs / PUBLISHED_NAME)).encode())
    draw_chart(results, docs / "results.png")


if __name__ == "__main__":
    sys.exit(main())
