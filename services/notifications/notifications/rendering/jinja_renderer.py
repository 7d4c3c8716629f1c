"""Mails from templates: `<kind>.subject.txt`, `<kind>.txt` and `<kind>.html`."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifications.domain.mails import Content, MailKind
from notifications.use_cases.ports import Secret


class JinjaRenderer:
    """HTML is escaped, plain text is not; a name that a template misses is an error, never a blank."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("notifications", "rendering/templates"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def render(self, kind: MailKind, *, name: str, facts: Mapping[str, object], secret: Secret | None) -> Content:
        values: dict[str, object] = {"name": name, **facts}
        if secret is not None:
            values["code"] = secret.code
            values["expires_at"] = secret.expires_at.strftime("%H:%M UTC")
        subject = self._templates.get_template(f"{kind}.subject.txt").render(values)
        return Content(
            # One line, whatever a fact may hold: a line break would begin another header.
            subject=" ".join(subject.split()),
            text=self._templates.get_template(f"{kind}.txt").render(values),
            html=self._templates.get_template(f"{kind}.html").render(values),
        )
