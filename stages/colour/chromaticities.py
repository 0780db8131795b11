"""From the chromaticities of primaries to the matrix between linear RGB and XYZ, and what it takes of matrices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

Vector = Sequence[float]
Matrix = tuple[tuple[float, float, float], ...]

D50 = (0.9642, 1.0, 0.8249)  # the white of every ICC profile: ICC.1:2022, 7.2.16
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))  # annex E.3
_FLAT = 1e-6  # a triangle of primaries with a determinant below this is a line


class Chromaticities(NamedTuple):
    """The x and y of the red, green and blue primaries, and of the white: CIE 15."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]


def rgb_to_xyz(colours: Chromaticities, *, white: Vector) -> Matrix:
    """Return the matrix from linear RGB to XYZ, adapted to `white` by Bradford's method.

    Raises ValueError for chromaticities beyond 0 to 1, and for primaries on one line.
    """
    if not all(0 <= part <= 1 for part in chain.from_iterable(colours)) or colours.white[1] == 0:
        raise ValueError
    primaries = transpose([(x, y, 1 - x - y) for x, y in colours[:3]])
    x, y = colours.white
    own_white = (x / y, 1.0, (1 - x - y) / y)
    unadapted = multiply(primaries, _diagonal(apply_matrix(invert(primaries), own_white)))
    cones = zip(apply_matrix(_BRADFORD, white), apply_matrix(_BRADFORD, own_white), strict=True)
    adaptation = multiply(_diagonal([there / here for there, here in cones]), _BRADFORD)
    return multiply(multiply(invert(_BRADFORD), adaptation), unadapted)


def multiply(left: Matrix, right: Matrix) -> Matrix:
    """Return the product of two matrices."""
    return transpose([apply_matrix(left, column) for column in transpose(right)])


def apply_matrix(matrix: Matrix, column: Vector) -> tuple[float, float, float]:
    """Return the product of a matrix and a column."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    x, y, z = column
    return a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z


def transpose(rows: Iterable[Vector]) -> Matrix:
    """Return the matrix that has these rows as columns."""
    return tuple((first, second, third) for first, second, third in zip(*rows, strict=True))


def invert(matrix: Matrix) -> Matrix:
    """Return the inverse, by cofactors. Raises ValueError if there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    if abs(determinant) < _FLAT:
        raise ValueError
    return tuple((one / determinant, two / determinant, three / determinant) for one, two, three in cofactors)


def _diagonal(values: Vector) -> Matrix:
    first, second, third = values
    return (first, 0.0, 0.0), (0.0, second, 0.0), (0.0, 0.0, third)
