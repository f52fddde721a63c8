from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0005_public_ids_are_unique"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="require_second_factor",
            field=models.BooleanField(default=False),
        ),
    ]
