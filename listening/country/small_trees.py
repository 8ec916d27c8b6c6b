"""Trees of few leaves, evaluated by numpy for a whole model at once.

LightGBM walks one tree after the other, and each walk waits for memory. Here all nodes of all trees
are compared at once, and each rules out the leaves of the side that is not taken, as bits; the one
leaf that remains is reached (after QuickScorer: Lucchese et al., SIGIR 2015). The sum is that of
LightGBM, in its order and so to the last bit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import orjson

if TYPE_CHECKING:
    from listening.country.model_spec import ModelSpec

MOST_LEAVES: Final = 64  # the bits of the widest integer
_BLOCK = 2**18  # nodes times listeners at once: what stays in a core's cache

_BIAS = 127  # of a float32's exponent
_ZERO = np.float32(1e-35)  # LightGBM takes what is no greater for 0
_DEFAULT_LEFT = 2  # a bit of LightGBM's decision_type
_MISSING_NAN = 2  # by its bits above; 0 if nothing is missing, 1 if zeros are
_HEADER = re.compile(
    r"num_tree_per_iteration=(\d+)\n(?:.*\n)*?max_feature_idx=(\d+)\n"
    r"(?:objective=.*\n)?+(?!average_output)"
)
_LAST = re.compile(r"\nTree=(\d+)\n")
_FIELDS: dict[str, type[np.generic]] = {
    "num_leaves": np.int64,
    "split_feature": np.int64,
    "threshold": np.float64,
    "decision_type": np.int64,
    "left_child": np.int64,
    "right_child": np.int64,
    "leaf_value": np.float64,
}
_TREE = re.compile(
    r"\nnum_leaves=(.*)\nnum_cat=0\nsplit_feature=(.*)\nsplit_gain=.*\nthreshold=(.*)"
    r"\ndecision_type=(.*)\nleft_child=(.*)\nright_child=(.*)\nleaf_value=(.*)"
)

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class SmallTrees:
    """The trees of one model.

    Parameters
    ----------
    feature, threshold, nan_right
        ``(most nodes of a tree, n_trees)``: the column that a node reads; the greatest float32 that
        goes left; whether NaN goes right. What a tree lacks in nodes sends everything left.
    going_left, turned
        ``(most nodes of a tree, n_trees)``: the leaves that a node rules out for what goes left, as
        bits, and the bits that change for what goes right.
    leaf
        ``(n_trees * most leaves,)``: the leaves' values.
    first
        ``(n_trees,)``: the place of each tree's first leaf, less the bias of a float32's exponent.
    outputs
        How many classes the trees have; tree i belongs to class i modulo it.
    """

    feature: npt.NDArray[np.intp]
    threshold: npt.NDArray[np.float32]
    nan_right: npt.NDArray[np.bool_]
    going_left: Bits
    turned: Bits
    leaf: npt.NDArray[np.float64]
    first: npt.NDArray[np.intp]
    outputs: int

    @classmethod
    def parse(cls, text: str, spec: ModelSpec) -> SmallTrees | None:
        """Read LightGBM's text of a model.

        Returns
        -------
        SmallTrees or None
            None where LightGBM itself has to evaluate it, or to say what is wrong with it: more
            than `MOST_LEAVES` leaves; categorical, linear or averaged trees; zeros for missing;
            a text that is damaged or does not fit the specification.
        """
        header = _HEADER.search(text)
        end = text.rfind("\nend of trees")
        last = _LAST.match(text, text.rfind("\nTree=", 0, max(end, 0)))
        trees = _TREE.findall(text, 0, max(end, 0))
        if header is None or last is None or len(trees) != int(last[1]) + 1:
            return None
        try:
            fields = {
                name: _numbers(lines, kind)
                for (name, kind), lines in zip(
                    _FIELDS.items(), zip(*trees, strict=True), strict=True
                )
            }
        except (ValueError, TypeError):
            return None
        outputs, width = int(header[1]), int(header[2]) + 1
        sizes, split = fields["num_leaves"], fields["split_feature"]
        n, nodes = len(sizes), int((sizes - 1).sum())
        lengths = {"num_leaves": n, "leaf_value": nodes + n}
        if (
            any(len(values) != lengths.get(name, nodes) for name, values in fields.items())
            or sizes.min() < 1
            or not 1 < sizes.max() <= MOST_LEAVES
            or (outputs, width) != (len(spec.classes), len(spec.columns))
            or outputs == 1  # whose sum numpy takes in another order
            or n % outputs
            or "\nis_linear=1" in text
            or not np.isin(fields["decision_type"] >> 2, (0, _MISSING_NAN)).all()
            or not ((split >= 0) & (split < width)).all()
        ):
            return None
        return cls._lay_out(fields, np.array(spec.columns, dtype=np.intp), outputs)

    @classmethod
    def _lay_out(
        cls, fields: dict[str, Any], columns: npt.NDArray[np.intp], outputs: int
    ) -> SmallTrees | None:
        sizes, kind = fields["num_leaves"], fields["decision_type"]
        n, leaves = len(sizes), int(sizes.max())
        there = np.arange(leaves - 1) < sizes[:, None] - 1

        def spread(values: Any, default: Any) -> Any:
            """Return one row for each place of a node, one column for each tree."""
            table = np.full(there.shape, default, dtype=values.dtype)
            table[there] = values
            return np.ascontiguousarray(table.T)

        left, right = spread(fields["left_child"], -1), spread(fields["right_child"], -1)
        sides = _leaves_below(there.T, left, right, sizes)
        if sides is None:
            return None
        bits = next(kind for kind in _BITS if leaves <= 8 * np.dtype(kind).itemsize)
        going_left, going_right = sides[1].astype(bits), sides[0].astype(bits)
        beyond = np.invert(_all_leaves(sizes)).astype(bits)
        going_left[0] |= beyond
        going_right[0] |= beyond

        exact = fields["threshold"]
        with np.errstate(over="ignore"):
            rounded = exact.astype(np.float32)
        above = rounded > exact
        rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
        rounded[(rounded >= -_ZERO) & (rounded < 0)] = np.nextafter(-_ZERO, np.float32(-np.inf))
        rounded[(rounded >= 0) & (rounded < _ZERO)] = _ZERO
        nan_right = np.where(kind >> 2 == _MISSING_NAN, kind & _DEFAULT_LEFT == 0, exact < 0)
        leaf = np.zeros((n, leaves))
        leaf[np.arange(leaves) < sizes[:, None]] = fields["leaf_value"]
        return cls(
            feature=spread(columns[fields["split_feature"]], 0),
            threshold=spread(rounded, np.inf),
            nan_right=spread(nan_right, False),
            going_left=going_left,
            turned=going_left ^ going_right,
            leaf=leaf.ravel(),
            first=np.arange(n, dtype=np.intp) * leaves - _BIAS,
            outputs=outputs,
        )

    def raw_scores(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the trees' raw scores, ``(n_listeners, n_classes)`` or ``(n_classes,)``.

        Parameters
        ----------
        features
            Whole feature vectors, ``(n_listeners, layout width)`` or ``(layout width,)``.
        """
        if features.ndim == 1:
            return self._scores(features)
        block = max(1, _BLOCK // self.feature.size)
        scores = np.empty((len(features), self.outputs))
        for start in range(0, len(features), block):
            rows = slice(start, start + block)
            scores[rows] = self._scores(np.ascontiguousarray(features[rows].T)).T
        return scores

    def _scores(self, columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the scores ``(n_classes, …)`` of features ``(layout width, …)``."""
        all_alike = (..., *(None,) * (columns.ndim - 1))
        # Places are known to be inside; numpy is faster where it need not raise.
        right = columns.take(self.feature, axis=0, mode="clip") > self.threshold[all_alike]
        missing = np.isnan(columns)
        if missing.any():
            to_right = missing.take(self.feature, axis=0, mode="clip")
            right |= to_right & self.nan_right[all_alike]
        ruled_out = right * self.turned[all_alike]
        ruled_out ^= self.going_left[all_alike]
        remaining = ~np.bitwise_or.reduce(ruled_out, axis=0)
        # A power of two: its place is its exponent, which a float32 holds above 23 bits, plus 127.
        reached = remaining.astype(np.float32).view(np.int32) >> 23
        values = self.leaf.take(reached + self.first[all_alike], mode="clip")
        total: npt.NDArray[np.float64] = np.add.reduce(
            values.reshape(-1, self.outputs, *columns.shape[1:]), axis=0
        )
        return total


_BITS = (np.uint8, np.uint16, np.uint32, np.uint64)


def _numbers(lines: tuple[str, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    """Return what a field holds in all trees, one after the other."""
    values = ",".join(filter(None, lines)).replace(" ", ",")
    numbers = orjson.loads(f"[{values}]")
    return np.fromiter(numbers, kind, len(numbers))


def _all_leaves(sizes: Ints) -> npt.NDArray[np.uint64]:
    """Return the bits of all leaves of trees that have so many."""
    return np.uint64(2**MOST_LEAVES - 1) >> (MOST_LEAVES - sizes).astype(np.uint64)


def _leaves_below(
    there: npt.NDArray[np.bool_], left: Ints, right: Ints, sizes: Ints
) -> npt.NDArray[np.uint64] | None:
    """Return the leaves on the left and on the right of each node, as bits.

    Parameters
    ----------
    there, left, right
        ``(most nodes of a tree, n_trees)``: whether there is such a node, and its children: nodes,
        which come after it, or the complements of leaves.
    sizes
        ``(n_trees,)`` leaves of each tree.

    Returns
    -------
    array or None
        ``(2, most nodes of a tree, n_trees)``; None where the children are no tree.
    """
    nodes, n = there.shape
    trees, own = np.arange(n), np.arange(nodes)[:, None]
    for child in (left, right):
        inner, outer = (child > own) & (child < sizes - 1), (child < 0) & (~child < sizes)
        if (there & ~(inner | outer)).any():
            return None
    below = np.zeros((2, nodes, n), dtype=np.uint64)
    for i in range(nodes - 1, -1, -1):
        for side, child in enumerate((left[i], right[i])):
            leaf = np.uint64(1) << np.maximum(~child, 0).astype(np.uint64)
            node = np.maximum(child, 0)
            inner = below[0, node, trees] | below[1, node, trees]
            below[side, i] = np.where(there[i], np.where(child < 0, leaf, inner), 0)
    ends = np.where(there[0], below[0, 0] | below[1, 0], 1)
    once = (below[0] & below[1] == 0).all() and (ends == _all_leaves(sizes)).all()
    return below if once else None
