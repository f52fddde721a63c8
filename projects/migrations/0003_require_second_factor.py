from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0002_channels_and_private_upstreams"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="require_second_factor",
            field=models.BooleanField(default=False),
        ),
    ]
