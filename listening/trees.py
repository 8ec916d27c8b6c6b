"""LightGBM's trees, asked on the caller's thread."""

from __future__ import annotations

import ctypes

import lightgbm
import numpy as np
import numpy.typing as npt

from listening.errors import ArchiveError

RAW_SCORE = 1  # C_API_PREDICT_RAW_SCORE
CONTRIBUTIONS = 3  # C_API_PREDICT_CONTRIB
_FLOAT32 = 0  # C_API_DTYPE_FLOAT32
_PARAMETERS = b"num_threads=1"
_LIB = lightgbm.basic._LIB  # type: ignore[attr-defined]

FloatArray = npt.NDArray[np.float64]


def read_trees(text: str, *, name: str, width: int, outputs: int = 1) -> lightgbm.Booster:
    """Return the trees that LightGBM's text holds; call it after forking.

    Parameters
    ----------
    text
        As `lightgbm.Booster.model_to_string` writes it.
    name
        The model's, for an error.
    width, outputs
        How many features they must read and how many outputs they must have.

    Raises
    ------
    ArchiveError
        It is not a LightGBM model, or another one.
    """
    try:
        trees = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise ArchiveError(f"model '{name}': not a LightGBM model ({error})") from error
    found = trees.num_model_per_iteration(), trees.num_feature()
    if found != (outputs, width):
        raise ArchiveError(
            f"model '{name}': the trees read {found[1]} features and have {found[0]} outputs, "
            f"but it has {width} columns and {outputs} classes"
        )
    return trees


def predict(
    trees: lightgbm.Booster, rows: npt.NDArray[np.float32], *, kind: int, outputs: int
) -> FloatArray:
    """Return what trees say of rows; one row and many give the same to the last bit.

    Parameters
    ----------
    trees
        The model.
    rows
        Contiguous, ``(n, width)``.
    kind
        `RAW_SCORE` or `CONTRIBUTIONS`.
    outputs
        Numbers for each row.

    Returns
    -------
    array
        ``(n, outputs)``.
    """
    result = np.empty((len(rows), outputs))
    length = ctypes.c_int64()
    _check(
        _LIB.LGBM_BoosterPredictForMat(
            trees._handle,
            rows.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(_FLOAT32),
            ctypes.c_int32(rows.shape[0]),
            ctypes.c_int32(rows.shape[1]),
            ctypes.c_int(1),  # row-major
            ctypes.c_int(kind),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_char_p(_PARAMETERS),
            ctypes.byref(length),
            result.ctypes.data_as(ctypes.c_void_p),
        )
    )
    return result


def _check(status: int) -> None:
    if status:
        _LIB.LGBM_GetLastError.restype = ctypes.c_char_p
        raise ArchiveError(f"LightGBM: {_LIB.LGBM_GetLastError().decode('utf-8', 'replace')}")


class RowPredictor:
    """Raw scores of trees with one output, one row at a time without what each call sets up.

    Parameters
    ----------
    trees
        The model.
    """

    def __init__(self, trees: lightgbm.Booster) -> None:
        self._trees = trees  # which the configuration belongs to
        self._config = ctypes.c_void_p()
        _check(
            _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
                trees._handle,
                ctypes.c_int(RAW_SCORE),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(_FLOAT32),
                ctypes.c_int32(trees.num_feature()),
                ctypes.c_char_p(_PARAMETERS),
                ctypes.byref(self._config),
            )
        )

    def __call__(self, row: npt.NDArray[np.float32]) -> float:
        """Return the score of a contiguous row, (width,)."""
        length, score = ctypes.c_int64(), ctypes.c_double()
        _check(
            _LIB.LGBM_BoosterPredictForMatSingleRowFast(
                self._config,
                ctypes.c_void_p(row.ctypes.data),
                ctypes.byref(length),
                ctypes.byref(score),
            )
        )
        return score.value

    def __del__(self) -> None:
        """Give the configuration back."""
        if self._config:
            _LIB.LGBM_FastConfigFree(self._config)


def portable(text: str) -> str:
    """Return a model's text without what does not change its answers.

    LightGBM appends its parameters, the number of threads among them: with these, the same trees
    would have another bundle version on another machine.
    """
    return text[: text.index("\nfeature_importances:")] + "\n"
