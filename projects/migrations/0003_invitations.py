import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import projects.names
import projects.public_ids


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0002_channels_and_private_upstreams"),
    ]

    operations = [
        # Without a value yet: the next migration gives each person one, and the one after holds it to that.
        migrations.AddField(
            model_name="user",
            name="public_id",
            field=projects.names.CodepointField(editable=False, max_length=12, null=True),
        ),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(fields=["project", "role", "id"], name="membership_by_role"),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "public_id",
                    projects.names.CodepointField(
                        default=projects.public_ids.new_public_id,
                        editable=False,
                        max_length=12,
                        unique=True,
                    ),
                ),
                ("email", models.CharField(max_length=254)),
                (
                    "role",
                    models.PositiveSmallIntegerField(
                        choices=[(10, "Viewer"), (20, "Operator"), (30, "Admin"), (40, "Owner")]
                    ),
                ),
                (
                    "token_hash",
                    projects.names.CodepointField(editable=False, max_length=64, unique=True),
                ),
                ("invited_by_label", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(editable=False, null=True)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                ("version", models.PositiveIntegerField(default=1)),
                (
                    "invited_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="projects.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        fields=("project", "email"),
                        name="invitation_once_while_pending",
                        violation_error_message="This address is invited already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", [10, 20, 30, 40])), name="invitation_role_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None), _connector="OR"),
                        name="invitation_ends_one_way",
                        violation_error_message="An invitation is accepted or revoked, not both.",
                    ),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        fields=["project", "created_at", "id"],
                        name="invitation_pending",
                    ),
                ],
            },
        ),
    ]
