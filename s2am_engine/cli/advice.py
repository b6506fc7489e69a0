# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's advice for errors of the engine, by error code; see `s2am_common.errors.with_advice`."""

from __future__ import annotations

ADVICE = {
    "mask.missing": "give one with --mask MASK, or detect it with --auto-mask",
    "mask.no-alpha": "give one with --mask MASK, or detect it with --auto-mask",
    "mask.cut-out": "give the image to paste it on with --background BACKGROUND",
    "mask.entries": "with --mask-index NUMBER …",
    "mask.no-entry": "with --mask-index NUMBER …",
    "mask.same-file": "or leave out --mask, if its alpha is the mask",
    "mask.inverted": "with --invert-mask",
    "mask.not-found": "make the mask by hand",
    "mask.not-found.uncertain": "make the mask by hand, or see what “s2am detect --likeliest” finds",
    "subject.not-found": "make the mask by hand, or see what “s2am cutout --likeliest” selects",
    "subject.all": "make the mask by hand",
    "model.not-downloaded": "s2am models install {model}",
    "model.download": "and install it with “s2am models install {model} --file FILE”",
    "model.download.declined": "add --yes to download it, or --file FILE for a file that you have",
    "image.outside": "choose another position with --at X,Y",
    "image.profile.native": "or leave out --native",
    "file.input": "use -o OUT",
    "file.name": "give a shorter name with -o OUT",
    "file.output": "use -o DIR",
    "model.result": "choose another model with --model NAME",
    "model.torch": "run “s2am install train”, or use --model NAME",
    "model.lpips.package": "run “s2am install lpips”",
    "sample.photographs": "run “s2am install sample”",
    "device.torch": "run “s2am install train”, or use --device cpu",
    "model.untrainable": "use --base NAME",
    "model.not-found.untrained": "or train it with “s2am train --network {network} --data PHOTOS”",
    "model.damaged.personal": "s2am models delete “{model}”",
    "training.diverged": "with --learning-rate RATE",
    "training.initial-weights": "with pip, or with --start connoisseur",
    "training.no-run": "leave out --resume, or name another folder with --folder DIR",
    "training.run-exists": "continue it with --resume, or name another folder with --folder DIR",
    "file.run": "with --folder DIR",
}
