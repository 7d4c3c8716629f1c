"""The body of SendGrid's `POST /v3/mail/send`, as far as we use it. The rest of it is taken and not kept."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

RECIPIENTS_MAX = 1_000  # SendGrid's own limit

EmailAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]


class Person(BaseModel):
    email: EmailAddress
    name: str | None = None


class Personalization(BaseModel):
    to: list[Person] = Field(min_length=1, max_length=RECIPIENTS_MAX)
    subject: str | None = Field(default=None, min_length=1)


class Content(BaseModel):
    type: str = Field(min_length=1)
    value: str = Field(min_length=1)


class Mail(BaseModel):
    """`personalizations` with at least one recipient each, `from`, a subject in one of the two places, `content`."""

    model_config = ConfigDict(populate_by_name=True)

    personalizations: list[Personalization] = Field(min_length=1, max_length=RECIPIENTS_MAX)
    sender: Person = Field(alias="from")
    subject: str | None = Field(default=None, min_length=1)
    content: list[Content] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_subject(self) -> Self:
        if self.subject is None and any(part.subject is None for part in self.personalizations):
            raise ValueError("The subject is required. You can get around this requirement if you use a template")
        return self

    def body(self, content_type: str) -> str | None:
        """The first content of that type."""
        return next((content.value for content in self.content if content.type == content_type), None)

    def deliveries(self) -> list[tuple[str, str]]:
        """Address and subject, one for each recipient."""
        return [
            (person.email, part.subject or self.subject or "") for part in self.personalizations for person in part.to
        ]
