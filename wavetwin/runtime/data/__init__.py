"""The images: readers of the data sets, splits, augmentation and batches."""

from wavetwin.runtime.data.experiment import READERS, ExperimentData, load_data
from wavetwin.runtime.data.root import find_data_root
from wavetwin.runtime.data.sources import ImageSet, ImageSource, SourcePair, TensorImages

__all__ = [
    "READERS",
    "ExperimentData",
    "ImageSet",
    "ImageSource",
    "SourcePair",
    "TensorImages",
    "find_data_root",
    "load_data",
]
