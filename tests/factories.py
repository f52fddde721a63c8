"""Rows for tests. Keys are made through `lifecycle.issue`, as everywhere."""

# factory-boy's declarations are untyped.
# mypy: disable-error-code="no-untyped-call"

from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from django.utils import timezone
from factory.base import Factory
from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from factory.django import DjangoModelFactory

from keys import lifecycle, providers
from keys.drafts import Draft
from keys.kinds import KeyType, Provider
from keys.lifecycle import Issued
from keys.models import ProviderKey, Upstream
from keys.provider_drafts import ProviderDraft
from projects.audit import Actor
from projects.invitations import Invited, invite
from projects.models import Channel, ChannelKind, Membership, Project, Role, User
from projects.names import fold

T = TypeVar("T")
Made = TypeVar("Made", covariant=True)


class Maker(Protocol[Made]):
    """What calling a factory gives; its own annotations say that it gives itself."""

    def __call__(self, **fields: Any) -> Made: ...


def _maker(made_by: type[Factory[T]]) -> Maker[T]:
    return cast("Maker[T]", made_by)


class _Users(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = Sequence(lambda n: f"person{n}@example.test")
    name = Sequence(lambda n: f"Person {n}")

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **fields: Any) -> User:
        return model_class.objects.create_user(*args, **fields)


# A person; without `password=` one who can't sign in by password, which is quick to make.
UserFactory = _maker(_Users)


class _Projects(DjangoModelFactory[Project]):
    class Meta:
        model = Project

    name = Sequence(lambda n: f"Project {n}")
    slug = Sequence(lambda n: f"project-{n}")


# A project without members; its Automator Key and catalogue come with it.
ProjectFactory = _maker(_Projects)


class _Memberships(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    project = SubFactory(_Projects)
    user = SubFactory(_Users)
    role = Role.OPERATOR


MembershipFactory = _maker(_Memberships)


class _Channels(DjangoModelFactory[Channel]):
    class Meta:
        model = Channel

    project = SubFactory(_Projects)
    slug = Sequence(lambda n: f"channel-{n}")
    name = Sequence(lambda n: f"Channel {n}")
    name_folded = LazyAttribute(lambda channel: fold(channel.name))
    kind = ChannelKind.TEAMS
    created_by_label = "system"


# A channel that is open; its keys are made by IssuedFactory(type=KeyType.CHANNEL, channel=slug, holder=…).
ChannelFactory = _maker(_Channels)


class _IssuedKeys(Factory[Issued]):
    class Meta:
        model = Issued

    project = SubFactory(_Projects)
    actor = LazyFunction(Actor.system)
    at = LazyFunction(timezone.now)
    nonce = ""
    confirmed = False

    name = Sequence(lambda n: f"Key {n}")
    type = KeyType.RESTRICTED
    scopes = LazyAttribute(lambda key: ("sources:read",) if key.type == KeyType.RESTRICTED else ())

    @classmethod
    def _create(
        cls,
        model_class: Any,
        *args: Any,
        project: Project,
        actor: Actor,
        at: datetime,
        nonce: str,
        confirmed: bool,
        **draft: Any,
    ) -> Issued:
        return lifecycle.issue(project, Draft(**draft), actor=actor, at=at, nonce=nonce, confirmed=confirmed)


# A key with its token, from the verb *issue*; by the system unless `actor=` is given.
IssuedFactory = _maker(_IssuedKeys)


class _ProviderKeys(Factory[ProviderKey]):
    class Meta:
        model = ProviderKey

    project = SubFactory(_Projects)
    actor = LazyFunction(Actor.system)
    at = LazyFunction(timezone.now)

    name = Sequence(lambda n: f"Provider key {n}")
    provider = Provider.OPENAI
    # Without the shape of any provider's, so that a test of what is noticed by its shape says so.
    secret = Sequence(lambda n: f"value-of-a-provider-key-{n}")

    @classmethod
    def _create(
        cls, model_class: Any, *args: Any, project: Project, actor: Actor, at: datetime, **draft: Any
    ) -> ProviderKey:
        return providers.create_provider_key(project, ProviderDraft(**draft), actor=actor, at=at)


# A provider key, from the verb; by the system unless `actor=` is given.
ProviderKeyFactory = _maker(_ProviderKeys)


class _Upstreams(Factory[Upstream]):
    class Meta:
        model = Upstream

    project = SubFactory(_Projects)
    actor = LazyFunction(Actor.system)
    at = LazyFunction(timezone.now)

    slug = Sequence(lambda n: f"model-{n}")
    provider_key = ""

    @classmethod
    def _create(cls, model_class: Any, *args: Any, project: Project, slug: str, **given: Any) -> Upstream:
        return providers.create_upstream(project, slug, **given)


# An upstream, from the verb; `provider_key=` is the public id of one.
UpstreamFactory = _maker(_Upstreams)


def invited(
    project: Project,
    owner: User,
    email: str = "ines@example.test",
    *,
    role: Role = Role.OPERATOR,
    at: datetime | None = None,
) -> Invited:
    """Return an invitation with its token, from the verb."""
    return invite(project, email, role, actor=acting(owner, project), at=at or timezone.now())


def acting(user: User, project: Project, address: str | None = None) -> Actor:
    """Return the person as an actor, in the role that they have in the project."""
    role = Membership.objects.get(user=user, project=project).role
    return Actor.person(user, Role(role), address)
