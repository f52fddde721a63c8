"""Many rows in one statement, on both databases.

A statement for each row would take longer, and on SQLite have every request that is being answered meanwhile
wait its turn for the interpreter once more for each row.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import connection

# What a column of the rows can be, as PostgreSQL calls it.
NUMBER: Final = "bigint"
TEXT: Final = "text"
TIME: Final = "timestamptz"
DAY: Final = "date"

# What JSON has no form for is a day, which SQLite stores as text. Rows hold no rows: no circle to look for.
_JSON: Final = json.JSONEncoder(check_circular=False, default=str)


def run(cursor: Any, sql: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Run `sql` once for all rows; nothing for none. `{rows}` in it stands for them, as r(c0, c1, …).

    Times are given as the ORM stores them (`adapt_datetimefield_value`).
    """
    if not rows:
        return
    names = [f"c{place}" for place in range(len(types))]
    if connection.vendor == "sqlite":
        columns = ", ".join(f"json_extract(value, '$[{place}]') AS c{place}" for place in range(len(types)))
        cursor.execute(sql.format(rows=f"(SELECT {columns} FROM json_each(%s)) AS r"), [_JSON.encode(rows)])  # noqa: S608
        return
    arrays = ", ".join(f"%s::{each}[]" for each in types)
    given = [array(each, column) for each, column in zip(types, zip(*rows, strict=True), strict=True)]
    cursor.execute(sql.format(rows=f"unnest({arrays}) AS r({', '.join(names)})"), given)


def array(kind: str, values: Iterable[Any]) -> str:
    """Return an array as PostgreSQL reads it, of values that are all there.

    The driver's own looks at each value for itself, which took as long as all else that a write does here.
    Section 8.15.2 of PostgreSQL's manual: within quotes a quote and a backslash stand behind a backslash.
    """
    texts = map(str, values)
    if kind == NUMBER:
        return f"{{{','.join(texts)}}}"
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"
