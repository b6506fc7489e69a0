# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonization of composites: adapt the colors of a pasted foreground to its background.

>>> import s2am_engine
>>> result = s2am_engine.harmonize("composite.png", "mask.png")  # doctest: +SKIP
>>> s2am_engine.save_image("harmonized.png", result)  # doctest: +SKIP
"""

# “A as A” marks a public name for type checkers and the documentation.
from s2am_common.errors import ColorMapError as ColorMapError
from s2am_common.errors import DeviceError as DeviceError
from s2am_common.errors import DiskFullError as DiskFullError
from s2am_common.errors import EngineError as EngineError
from s2am_common.errors import FileError as FileError
from s2am_common.errors import ImageError as ImageError
from s2am_common.errors import ImageFormatError as ImageFormatError
from s2am_common.errors import MaskError as MaskError
from s2am_common.errors import ModelError as ModelError
from s2am_common.errors import ModelNotFoundError as ModelNotFoundError
from s2am_common.errors import NoSubjectError as NoSubjectError
from s2am_common.errors import NothingFoundError as NothingFoundError
from s2am_common.errors import S2AMError as S2AMError
from s2am_common.errors import TrainingError as TrainingError
from s2am_common.version import __version__ as __version__
from s2am_engine.color.adjustments import Sliders as Sliders
from s2am_engine.color.map import ColorMap as ColorMap
from s2am_engine.finish.finisher import Finisher as Finisher
from s2am_engine.finish.measurement import FinishMeasurement as FinishMeasurement
from s2am_engine.finish.values import Finish as Finish
from s2am_engine.image.data import ImageData as ImageData
from s2am_engine.image.io import load_image as load_image
from s2am_engine.image.io import save_image as save_image
from s2am_engine.image.mask_edges import EdgeSettings as EdgeSettings
from s2am_engine.image.mask_edges import refine_edges as refine_edges
from s2am_engine.image.mask_reading import MaskOptions as MaskOptions
from s2am_engine.image.mask_reading import MaskReading as MaskReading
from s2am_engine.image.mask_reading import read_mask as read_mask
from s2am_engine.image.mask_reading import read_mask_file as read_mask_file
from s2am_engine.image.masks import save_mask as save_mask
from s2am_engine.inference.detector import Detection as Detection
from s2am_engine.inference.detector import Detector as Detector
from s2am_engine.inference.harmonizer import Harmonizer as Harmonizer
from s2am_engine.inference.harmonizer import harmonize as harmonize
from s2am_engine.inference.result import HarmonizeResult as HarmonizeResult
from s2am_engine.inference.subject import SubjectResult as SubjectResult
from s2am_engine.inference.subject import SubjectSelector as SubjectSelector
from s2am_engine.inference.subject import select_subject as select_subject
from s2am_engine.models.model_store import list_models as list_models
from s2am_engine.shadow.estimate import ShadowEstimate as ShadowEstimate
from s2am_engine.shadow.estimate import estimate_shadow as estimate_shadow
from s2am_engine.shadow.layer import ShadowLayer as ShadowLayer
from s2am_engine.shadow.layer import Silhouette as Silhouette
from s2am_engine.shadow.render import render_shadow as render_shadow
from s2am_engine.shadow.settings import Shadow as Shadow
