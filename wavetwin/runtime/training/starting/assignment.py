"""Assign rows to columns at the least total cost."""

from __future__ import annotations

from math import inf

from torch import Tensor

__all__ = ["assign_rows"]


def assign_rows(costs: Tensor) -> list[int]:
    """Return a column of its own for each row, so that the sum of the costs is least.

    The Hungarian method by shortest augmenting paths: a row after the other is added, and displaces
    others along the path that costs least. Of equal paths the first column's is taken.

    Source: Kuhn 1955, doi:10.1002/nav.3800020109; Jonker and Volgenant 1987,
    doi:10.1007/BF02278710.

    Args:
        costs: (rows, columns), finite, with as many columns as rows or more.
    """
    table: list[list[float]] = costs.tolist()
    rows, columns = costs.shape
    assert rows <= columns, (rows, columns)
    owner: list[int | None] = [None] * columns
    row_price, column_price = [0.0] * rows, [0.0] * columns
    for start in range(rows):
        least = [inf] * columns
        before: list[int | None] = [None] * columns
        reached: list[int] = []
        column: int | None = None
        row = start
        while True:
            at_column = 0.0 if column is None else least[column]
            best, best_cost = -1, inf
            for other in range(columns):
                if other in reached:
                    continue
                cost = at_column + table[row][other] - row_price[row] - column_price[other]
                if cost < least[other]:
                    least[other], before[other] = cost, column
                if least[other] < best_cost:
                    best, best_cost = other, least[other]
            column = best
            taken = owner[column]
            if taken is None:
                break
            reached.append(column)
            row = taken
        # Prices keep every owned column's reduced cost at 0, and all others' at 0 or above.
        length = least[column]
        row_price[start] += length
        for each in reached:
            holder = owner[each]
            assert holder is not None
            row_price[holder] += length - least[each]
            column_price[each] -= length - least[each]
        while column is not None:
            previous = before[column]
            owner[column] = start if previous is None else owner[previous]
            column = previous
    found = {row: column for column, row in enumerate(owner) if row is not None}
    return [found[row] for row in range(rows)]
