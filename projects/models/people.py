"""The tables of people, and what a person may be in a project."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from projects.names import NAME_LENGTH, CodepointField, clean_name
from projects.public_ids import PUBLIC_ID_LENGTH, new_public_id


class Role(models.IntegerChoices):
    """What a member may do; a higher number may all that a lower one may."""

    VIEWER = 10, "Viewer"
    OPERATOR = 20, "Operator"
    ADMIN = 30, "Admin"
    OWNER = 40, "Owner"


class UserManager(BaseUserManager["User"]):
    """Makes accounts; an e-mail address is kept in lower case, as django-allauth compares it."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def at_address(self, text: str) -> "User | None":
        """Return the account of an e-mail address as somebody wrote it on the command line, None for none.

        PostgreSQL takes no NUL in a text, and no database half a character, as an odd byte comes in.
        """
        written = text.encode("utf-8", "replace").decode().replace("\0", "")
        return self.filter(email=written.strip().lower()).first()

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail address is the account's name; there is no other."""

    # Stands in addresses, where a number would tell how many people there are.
    public_id = CodepointField(
        max_length=PUBLIC_ID_LENGTH, unique=True, default=new_public_id, editable=False
    )
    email = models.EmailField("email address", unique=True)
    name = models.CharField(max_length=NAME_LENGTH, blank=True)
    is_staff = models.BooleanField("staff", default=False)
    is_active = models.BooleanField("active", default=True)
    must_change_password = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_folded_unique",
                violation_error_message="Another account has this e-mail address.",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The person's name, or the e-mail address of somebody who has given none."""
        return self.name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()
        if self.name:
            self.name = clean_name(self.name)
