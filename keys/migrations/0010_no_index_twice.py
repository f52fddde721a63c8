"""Indexes that another one holds already: each was written anew with every count and every new key.

By name, and not through the ORM, which would copy the whole table on SQLite. Django makes the names of the
tables and columns, so they are the same everywhere.
"""

import django.db.models.deletion
from django.db import migrations, models

# The index, and what it is on. Each begins as one that stays: of lists, or of what is counted once.
GONE = (
    ("keys_key_project_id_dfb3ea6e", "keys_key", "project_id"),
    ("keys_keyactivity_project_id_75b81d65", "keys_keyactivity", "project_id"),
    ("keys_hourcount_key_id_712230d5", "keys_hourcount", "key_id"),
    ("keys_daycount_key_id_30770042", "keys_daycount", "key_id"),
    ("keys_scopeuse_key_id_8809b1dd", "keys_scopeuse", "key_id"),
    ("keys_sourceuse_key_id_72786961", "keys_sourceuse", "key_id"),
)


def _to_project(related_name):
    return models.ForeignKey(
        db_index=False,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related_name,
        to="projects.project",
    )


def _to_key():
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to="keys.key",
    )


class Migration(migrations.Migration):
    dependencies = [("keys", "0009_what_states_ask")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f'DROP INDEX IF EXISTS "{name}"',
                    f'CREATE INDEX IF NOT EXISTS "{name}" ON "{table}" ("{column}")',
                )
                for name, table, column in GONE
            ],
            state_operations=[
                migrations.AlterField("key", "project", _to_project("keys")),
                migrations.AlterField("keyactivity", "project", _to_project("+")),
                *(
                    migrations.AlterField(model, "key", _to_key())
                    for model in ("hourcount", "daycount", "scopeuse", "sourceuse")
                ),
            ],
        )
    ]
