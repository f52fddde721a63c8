"""The search index: every three letters of every name (`keys.search_index`), on each kind of database its own.

It is in no model: FTS5 is SQLite's, and trigrams are PostgreSQL's. The triggers that keep SQLite's true stand in
`projects.triggers`, and are installed when all migrations are done. A migration that changes names has to
build it anew: these triggers are off meanwhile.
"""

from django.db import migrations

SQLITE = (
    # Without its contents, which stand in the table of keys. The names are folded already.
    "CREATE VIRTUAL TABLE keys_search USING fts5(name, content='', tokenize='trigram case_sensitive 1')",
    "INSERT INTO keys_search(rowid, name) SELECT "
    "(project_id * 4 + (revoked_at IS NOT NULL) * 2 + (type = 'agent')) * 274877906944 + id, name_folded "
    "FROM keys_key ORDER BY 1",
)
# The project in the index beside the name: a name that is common in another project costs nothing in this one.
POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE EXTENSION IF NOT EXISTS btree_gin",
    *(
        f"CREATE INDEX key_search_{number} ON keys_key USING gin (project_id, name_folded gin_trgm_ops) WHERE {where}"
        for number, where in enumerate(
            (
                "revoked_at IS NULL AND NOT (type = 'agent')",
                "revoked_at IS NULL AND type = 'agent'",
                "revoked_at IS NOT NULL AND NOT (type = 'agent')",
                "revoked_at IS NOT NULL AND type = 'agent'",
            )
        )
    ),
)


def build(apps, schema_editor):
    statements = SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL
    for sql in statements:
        schema_editor.execute(sql)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TABLE keys_search")
    else:
        # The extensions stay: something else may use them.
        for number in range(4):
            schema_editor.execute(f"DROP INDEX key_search_{number}")


class Migration(migrations.Migration):
    dependencies = [("keys", "0007_lists_from_indexes")]

    operations = [migrations.RunPython(build, drop)]
