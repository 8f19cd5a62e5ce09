"""Take a network apart as timm's networks are: feature maps, head, another classifier.

The methods are `Network`'s, and those of the class `Model` of a built model.py that is loaded. The head is the end of
the trunk: the pooling of all positions where one is there, what flattens, and what follows up to
the classifier, the last linear layer.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

__all__ = ["FeatureMethods"]

_TRUNK = "trunk"


class NoClassifier(nn.Identity):
    """Stands where a classifier was, and gives the features.

    Args:
        in_features: how many there are.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features


class FeatureMethods(nn.Module):
    """A network whose sections are its children, the trunk last, and end in a classifier."""

    @property
    def num_features(self) -> int:
        """How many features the classifier takes: the width of `forward_head(maps, pre_logits=True)`.

        Raises:
            TypeError: the network does not end in a linear layer.
        """
        return self.get_classifier().in_features

    @property
    def head_hidden_size(self) -> int:
        """The same, as timm calls it."""
        return self.num_features

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 where `reset_classifier` took the classifier away."""
        classifier = self.get_classifier()
        return classifier.out_features if isinstance(classifier, nn.Linear) else 0

    def get_classifier(self) -> nn.Linear | NoClassifier:
        """Return the last linear layer, or what stands in its place.

        Raises:
            TypeError: the network does not end in one.
        """
        classifier = self._trunk._modules[self._head()[-1]]
        assert isinstance(classifier, nn.Linear | NoClassifier)
        return classifier

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the maps before the head, for images (batch, channels, height, width).

        Raises:
            TypeError: the network does not end in a linear layer.
            ValueError: the images are not what the network takes.
        """
        body = copy.copy(self)
        trunk = copy.copy(self._trunk)
        # The copies share all layers but those of the head, which pass their input on.
        trunk._modules = self._trunk._modules | {name: nn.Identity() for name in self._head()}
        body._modules = self._modules | {_TRUNK: trunk}
        return body.forward(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the logits of maps, or with `pre_logits` what the classifier takes.

        Raises:
            TypeError: the network does not end in a linear layer.
        """
        names = self._head()
        for name in names[:-1] if pre_logits else names:
            layer = self._trunk._modules[name]
            assert layer is not None
            x = layer(x)
        return x

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new classifier in the place of the last one, with weights drawn by torch's law.

        Args:
            num_classes: of the new one; 0: none, and the network gives the features.
            global_pool: as timm's argument; another pooling than the network's cannot be asked for.

        Raises:
            TypeError: the network does not end in a linear layer.
            ValueError: `global_pool` is given, or the number is negative.
        """
        if global_pool is not None:
            raise ValueError("global_pool cannot be changed: the spec says how the network pools")
        if num_classes < 0:
            raise ValueError(f"num_classes is {num_classes}: it is 0 or more")
        name, width = self._head()[-1], self.num_features
        like = next(self.parameters())
        if num_classes:
            new = nn.Linear(width, num_classes, device=like.device, dtype=like.dtype)
        else:
            new = NoClassifier(width)
        self._trunk.add_module(name, new.train(self.training))

    @property
    def _trunk(self) -> nn.Module:
        return self.get_submodule(_TRUNK)

    def _head(self) -> tuple[str, ...]:
        """Return the names of the head's layers in the trunk, the classifier last.

        Raises:
            TypeError: the network does not end in a classifier.
        """
        children = list(self._trunk.named_children())
        flat = [n for n, (_, layer) in enumerate(children) if isinstance(layer, nn.Flatten)]
        last = children[-1][1] if children else None
        if not flat or not isinstance(last, nn.Linear | NoClassifier):
            raise TypeError("the network does not end in a layer that flattens and a linear layer")
        first = flat[-1]
        pools = first > 0 and isinstance(children[first - 1][1], nn.AdaptiveAvgPool2d)
        return tuple(name for name, _ in children[first - pools :])
