"""The feature layout: which number stands at which place of a listener's feature vector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.errors import LayoutError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Block:
    """A run of features of one kind.

    Parameters
    ----------
    name
        What the features are, for example ``vector`` or ``affinity``.
    width
        How many there are.
    labels
        What each stands for (country codes, region slugs); empty where they are only numbered.
    """

    name: str
    width: int
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse labels that do not match the width."""
        if self.width < 1 or (self.labels and len(self.labels) != self.width):
            raise LayoutError(
                f"feature block '{self.name}' has width {self.width} and {len(self.labels)} labels"
            )


@dataclass(frozen=True)
class FeatureLayout:
    """The blocks of a listener's feature vector, in order."""

    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        """Refuse two blocks of one name."""
        names = [block.name for block in self.blocks]
        if len(set(names)) != len(names):
            raise LayoutError(f"feature blocks must have different names, got {names}")

    @cached_property
    def _places(self) -> dict[str, slice]:
        """The columns of each block."""
        ends = accumulate(block.width for block in self.blocks)
        return {
            block.name: slice(end - block.width, end)
            for block, end in zip(self.blocks, ends, strict=True)
        }

    @cached_property
    def width(self) -> int:
        """The number of features."""
        return sum(block.width for block in self.blocks)

    @property
    def names(self) -> list[str]:
        """One name per feature, such as ``vector[3]`` or ``affinity[DE]``."""
        return [
            f"{block.name}[{label}]" if block.width > 1 or block.labels else block.name
            for block in self.blocks
            for label in (block.labels or range(block.width))
        ]

    def has(self, name: str) -> bool:
        """Tell whether there is a block of this name."""
        return name in self._places

    def slice_of(self, name: str) -> slice:
        """Return the columns of the block of this name."""
        if name not in self._places:
            raise LayoutError(f"no feature block '{name}'; the layout has {list(self._places)}")
        return self._places[name]

    def columns(self, name: str, labels: Iterable[str] | None = None) -> npt.NDArray[np.intp]:
        """Return the column numbers of a block, or of some of its labels in the order given."""
        place = self.slice_of(name)
        if labels is None:
            return np.arange(place.start, place.stop)
        block = next(block for block in self.blocks if block.name == name)
        position = {label: place.start + i for i, label in enumerate(block.labels)}
        wanted = list(labels)
        unknown = [label for label in wanted if label not in position]
        if unknown:
            raise LayoutError(f"feature block '{name}' has no {', '.join(unknown)}")
        return np.array([position[label] for label in wanted], dtype=np.intp)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the blocks as plain data."""
        return [
            {"name": b.name, "width": b.width, **({"labels": list(b.labels)} if b.labels else {})}
            for b in self.blocks
        ]

    @classmethod
    def from_json(cls, document: Any) -> FeatureLayout:
        """Read what `to_json` wrote."""
        try:
            return cls(
                tuple(
                    Block(str(b["name"]), int(b["width"]), tuple(b.get("labels", ())))
                    for b in document
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LayoutError(f"not a feature layout: {error!r}") from error
