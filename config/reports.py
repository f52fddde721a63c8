"""What an error report may show: Django's page and e-mail, without tokens and other secrets."""

from collections.abc import ItemsView
from types import FrameType
from typing import Any, Final

from django.http import HttpRequest, QueryDict
from django.template.defaultfilters import pprint
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from config.logs import clean, secrets_of
from config.redaction import SECRET_NAME, blot, holds_any

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
        shown = {name: self._shown(name, value) for name, value in variables}
        # Whole variables, before a long one is cut short in the middle of a secret: Django's forms hold what
        # was sent under names of their own.
        if secrets := secrets_of(request):
            shown = {name: self._blotted(value, secrets) for name, value in shown.items()}
        return shown.items()

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
        return self.cleansed_substitute if SECRET_NAME.search(name) else value

    def _blotted(self, value: Any, secrets: list[str]) -> Any:
        return self.cleansed_substitute if holds_any(pprint(value), secrets) else value


class Reporter(ExceptionReporter):
    """Redacts the finished report: the frames, the message, the query string, wherever a token is.

    And whatever was sent in a field of a secret name, whatever it looks like.
    """

    def get_traceback_html(self) -> SafeString:
        return self._redacted(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        return self._redacted(super().get_traceback_text())

    def _redacted(self, report: str) -> SafeString:
        return mark_safe(clean(blot(report, secrets_of(self.request))))  # noqa: S308 -- Django escaped it
