from django.db import migrations

import projects.names
import projects.public_ids


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0004_people_get_public_ids"),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="public_id",
            field=projects.names.CodepointField(
                default=projects.public_ids.new_public_id, editable=False, max_length=12, unique=True
            ),
        ),
    ]
