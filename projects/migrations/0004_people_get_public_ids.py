from django.db import migrations

from projects.public_ids import new_public_id


def give(apps, _schema_editor):
    """Give a public id to everybody who had an account before there were any."""
    people = apps.get_model("projects", "User").objects.filter(public_id=None)
    for person in list(people.only("pk")):
        person.public_id = new_public_id()
        person.save(update_fields=["public_id"])


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0003_invitations"),
    ]

    operations = [
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
