"""CIFAR-10 and CIFAR-100, the python version.

The class names are those of the archives' `batches.meta` and `meta`, the checksums those that
torchvision compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wavetwin.ir.dataset import Dataset
from wavetwin.ir.frozen import frozen

__all__ = ["DATASETS", "Cifar"]

_NAMES_10 = "airplane automobile bird cat deer dog frog horse ship truck"
_NAMES_100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""


@frozen(kw_only=True)
class Cifar(Dataset):
    """Batch files in a folder, or in the official archive of it."""

    reader: ClassVar[str] = "wavetwin.runtime.data.cifar:read_cifar"

    folder: str
    archive: str
    train: tuple[str, ...]
    """Batch files of training images, in the order of these."""
    test: str
    labels: str
    """Key of the classes in a batch file."""

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the folder and the archive."""
        return (self.folder, self.archive)

    @property
    def files(self) -> tuple[str, ...]:
        """Return the batch files."""
        return (*self.train, self.test)


def _row(
    name: str,
    folder: str,
    archive: str,
    *,
    class_names: str,
    labels: str,
    checksums: Mapping[str, str],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Cifar:
    names = tuple(class_names.split())
    *train, test = checksums
    return Cifar(
        name=name,
        num_classes=len(names),
        channels=3,
        image_size=32,
        training_images=50000,
        test_images=10000,
        validation=5000,
        per_class=False,
        augmentation="crop_flip",
        mean=mean,
        std=std,
        class_names=names,
        checksums=checksums,
        how_to_get="the page 'The CIFAR-10 and CIFAR-100 datasets' of the University of Toronto has "
        f"{archive} (python version): put it in the data root, unpacked or not",
        folder=folder,
        archive=archive,
        train=tuple(train),
        test=test,
        labels=labels,
    )


DATASETS = (
    _row(
        "cifar10",
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        class_names=_NAMES_10,
        labels="labels",
        checksums={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    _row(
        "cifar100",
        "cifar-100-python",
        "cifar-100-python.tar.gz",
        class_names=_NAMES_100,
        labels="fine_labels",
        checksums={
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        },
        mean=(0.5071, 0.4866, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
)
