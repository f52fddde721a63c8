"""What an error report may show: Django's page and e-mail, without tokens and other secrets."""

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any, Final

from django.http import HttpRequest, QueryDict
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from config.logs import clean

# Names of variables and form fields whose values stay out, tokens or not: half a token, a secret
# without its prefix, a password, a code of a second factor and what codes are made of don't look like one.
_SECRET_NAME: Final = re.compile(
    "token|secret|password|passphrase|presented|plain|cookie|(?:^|_)codes?$|seed|pending", re.I
)

# These hand codes and secrets on under names of their own: `c`, `text`, `args`.
_OPAQUE_MODULES: Final = ("allauth.", "contextlib")


class ReportFilter(SafeExceptionReporterFilter):
    """Leaves out variables and form fields by their names, over what Django leaves out."""

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        variables = super().get_traceback_frame_variables(request, tb_frame)
        if str(tb_frame.f_globals.get("__name__", "")).startswith(_OPAQUE_MODULES):
            return dict.fromkeys((name for name, _ in variables), self.cleansed_substitute).items()
        return {name: self._shown(name, value) for name, value in variables}.items()

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        fields: Any = super().get_post_parameters(request)
        cleansed = QueryDict(mutable=True)
        for name in fields:
            cleansed[name] = self._shown(name, clean(str(fields[name])))
        return cleansed

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        meta = super().get_safe_request_meta(request)
        return {name: clean(v) if isinstance(v, str) else v for name, v in meta.items()}

    def _shown(self, name: str, value: Any) -> Any:
        return self.cleansed_substitute if _SECRET_NAME.search(name) else value


class Reporter(ExceptionReporter):
    """Redacts the finished report: the frames, the message, the query string, wherever a token is."""

    def get_traceback_html(self) -> SafeString:
        return mark_safe(clean(super().get_traceback_html()))  # noqa: S308 -- still what Django escaped

    def get_traceback_text(self) -> SafeString:
        return mark_safe(clean(super().get_traceback_text()))  # noqa: S308 -- plain text
