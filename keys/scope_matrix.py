"""The scopes as a table, resource × action: what the dialogs offer to pick from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keys.scopes import above_operators
from projects.models import Resource, Role

# The matrix has a column for each of these; what else a resource can do stands in the last one.
_COLUMNS: Final = ("read", "write", "delete")

Offered = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A checkbox of the scope matrix."""

    scope: str
    name: str
    action: str
    checked: bool


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One resource: its cells under the columns (None where it has no such action), and the others."""

    label: str
    cells: Sequence[Cell | None]
    others: Sequence[Cell]


def offered(catalogue: Sequence[Resource], role: Role, held: Sequence[str] = ()) -> Offered:
    """Return the resources, by label, with the scopes that a person of this role may hand out.

    `held` are the scopes that the key has: one that has left the catalogue can still be taken away.
    """
    rows: list[tuple[str, Sequence[str]]] = []
    known: set[str] = set()
    for resource in catalogue:
        known |= set(resource.scopes())
        scopes = [s for s in resource.scopes() if role >= Role.ADMIN or not above_operators(s)]
        if scopes:
            rows.append((resource.label, scopes))
    gone: dict[str, list[str]] = {}
    for scope in held:
        if scope not in known:
            gone.setdefault(f"{scope.partition(':')[0]} (not in the catalogue)", []).append(scope)
    return [*rows, *gone.items()]


def scopes_of(offered: Offered) -> list[str]:
    """Return all scopes that are offered."""
    return [scope for _, scopes in offered for scope in scopes]


def matrix(offered: Offered, picked: Sequence[str] | None) -> list[MatrixRow]:
    """Return the scopes as a table, those that are picked ticked."""
    return [_row(label, scopes, set(picked or ())) for label, scopes in offered]


def _row(label: str, scopes: Sequence[str], picked: set[str]) -> MatrixRow:
    cells = {scope.partition(":")[2]: _cell(label, scope, scope in picked) for scope in scopes}
    return MatrixRow(
        label,
        [cells.get(action) for action in _COLUMNS],
        [cell for action, cell in cells.items() if action not in _COLUMNS],
    )


def _cell(label: str, scope: str, checked: bool) -> Cell:
    action = scope.partition(":")[2]
    return Cell(scope, f"{label}: {action}", action.replace("-", " ").capitalize(), checked)
