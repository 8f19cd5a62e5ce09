"""The mean of the classes' accuracies: each class counts alike, however many images it has."""

from torch import Tensor


def balanced_accuracy(logits: Tensor, labels: Tensor, adjusted: bool = False) -> float:
    """From 0 to 1; adjusted: 0 is chance."""
    is_right = (logits.argmax(1) == labels).double()
    each = [float(is_right[labels == number].mean()) for number in labels.unique()]
    mean, chance = sum(each) / len(each), 1 / len(each)
    return (mean - chance) / (1 - chance) if adjusted else mean
