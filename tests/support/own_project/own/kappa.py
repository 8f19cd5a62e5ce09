"""Cohen's kappa, as torchmetrics defines it."""

from torchmetrics.classification import MulticlassCohenKappa

__all__ = ["MulticlassCohenKappa"]
