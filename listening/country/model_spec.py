"""How one model of the chain turns a feature vector into log-probabilities.

    logits = scale · (trees(x[columns]) + x[base_columns]) + bias
    P      = (1 - noise) · softmax(logits) + noise · prior

``base_columns`` are features that are log-probabilities already (the artists' supervised
affinities), so that the trees learn what these miss; ``scale`` is an inverse temperature; ``bias``
holds what the prior power adds per class; ``noise`` is the share of listeners whose label says
nothing of their taste. A model of one class has no trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from listening.errors import ArchiveError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class ModelSpec:
    """One model: its classes, its inputs and its calibration.

    Parameters
    ----------
    name
        ``region``, ``flat`` or ``country-<region slug>``.
    classes
        Region slugs (region model) or country codes, in the order of the model's outputs.
    columns
        Places in the feature layout that the trees read, in their order.
    base_columns
        One place per class whose value is added to the trees' raw score; empty for none.
    scale
        Inverse temperature.
    bias
        One number per class, added to the logits last.
    file
        The LightGBM text file relative to the archive; None where there are no trees.
    rounds
        Boosting rounds, for the reader.
    noise
        Share of the prior in the probabilities, 0 to below 1.
    prior
        Share of each class; needed where there is noise.
    """

    name: str
    classes: tuple[str, ...]
    columns: tuple[int, ...]
    base_columns: tuple[int, ...] = ()
    scale: float = 1.0
    bias: tuple[float, ...] = ()
    file: str | None = None
    rounds: int = 0
    noise: float = 0.0
    prior: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a specification that does not fit its own classes."""
        if not self.classes:
            raise ArchiveError(f"model '{self.name}' has no classes")
        if not 0 <= self.noise < 1 or (self.noise and not self.prior):
            raise ArchiveError(f"model '{self.name}': noise {self.noise} without a fitting prior")
        for field, values in (
            ("base_columns", self.base_columns),
            ("bias", self.bias),
            ("prior", self.prior),
        ):
            if values and len(values) != len(self.classes):
                raise ArchiveError(
                    f"model '{self.name}': {field} has {len(values)} entries "
                    f"for {len(self.classes)} classes"
                )

    @cached_property
    def base_places(self) -> npt.NDArray[np.intp]:
        """``base_columns`` as an array, made once and not at every request."""
        import numpy as np  # noqa: PLC0415 - a specification is read and written without

        return np.array(self.base_columns, dtype=np.intp)

    @cached_property
    def bias_values(self) -> npt.NDArray[np.float64]:
        """``bias`` as an array, made once."""
        import numpy as np  # noqa: PLC0415 - as above

        return np.array(self.bias, dtype=np.float64)

    @cached_property
    def width(self) -> int:
        """The least number of features that a vector must have for this model."""
        return 1 + max((*self.columns, *self.base_columns), default=-1)

    def to_json(self) -> dict[str, Any]:
        """Return the specification as plain data."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "columns": list(self.columns),
            "base_columns": list(self.base_columns),
            "scale": self.scale,
            "bias": list(self.bias),
            "noise": self.noise,
            "prior": list(self.prior),
            "file": self.file,
            "rounds": self.rounds,
        }

    @classmethod
    def from_json(cls, document: Any) -> ModelSpec:
        """Read what `to_json` wrote.

        Raises
        ------
        ArchiveError
            A field is missing or of the wrong type.
        """
        try:
            return cls(
                name=str(document["name"]),
                classes=tuple(map(str, document["classes"])),
                columns=tuple(map(int, document["columns"])),
                base_columns=tuple(map(int, document["base_columns"])),
                scale=float(document["scale"]),
                bias=tuple(map(float, document["bias"])),
                noise=float(document["noise"]),
                prior=tuple(map(float, document["prior"])),
                file=None if document["file"] is None else str(document["file"]),
                rounds=int(document["rounds"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"not a model specification: {error!r}") from error
