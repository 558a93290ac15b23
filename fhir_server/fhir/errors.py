"""Every way a request can fail, in FHIR's own issue types. `http.errors` alone makes HTTP of it.

https://hl7.org/fhir/R4/http.html#Status-Codes

FhirError
├── Malformed 400 structure          the body or the URL cannot be read at all
├── Invalid 400 invalid              readable, but not a legal request
├── Unauthenticated 401 login
├── Forbidden 403 forbidden          the interaction is closed to you, whatever the resource
├── NotFound 404 not-found           absent, *or hidden by consent*: the same answer
├── NotAllowed 405 not-supported     this server does not do that here
├── NotAcceptable 406 not-supported
├── Conflict 409 conflict
├── Gone 410 deleted
├── PreconditionFailed 412 conflict  If-Match, or a condition with several matches
├── TooLarge 413 too-long
├── UnsupportedMedia 415 not-supported
├── Unprocessable 422 processing     against the rules of the standard or of the DMP
├── TooManyRequests 429 throttled
└── Unavailable 503 transient        the database or the trail cannot answer; nothing was shown or changed
"""

from __future__ import annotations

from typing import ClassVar, Final

from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import Issue, IssueType, error

_NOTHING: Final = Told("", "")
"""Where the issues say it."""


class FhirError(Exception):
    """A request that fails, with what to tell the client."""

    status: ClassVar[int] = 500
    issue: ClassVar[IssueType] = IssueType.EXCEPTION

    def __init__(
        self,
        message: Told = _NOTHING,
        *,
        expression: tuple[str, ...] = (),
        code: IssueType | None = None,
        issues: tuple[Issue, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Say it in one sentence out of a catalogue (`fhir.messages`), or pass the whole list of issues."""
        self.issues = issues or (error(code or self.issue, message, *expression),)
        self.headers = headers
        super().__init__(self.issues[0].diagnostics)

    @property
    def told(self) -> Told:
        """The first sentence in both languages; the French is empty where there is none."""
        return self.issues[0].told


class Malformed(FhirError):
    """The body or the URL cannot be read."""

    status = 400
    issue = IssueType.STRUCTURE


class Invalid(FhirError):
    """Readable, but not a legal request."""

    status = 400
    issue = IssueType.INVALID


class Unauthenticated(FhirError):
    """No token, or one that does not hold."""

    status = 401
    issue = IssueType.LOGIN


class Forbidden(FhirError):
    """Closed to this requester, whatever is stored."""

    status = 403
    issue = IssueType.FORBIDDEN


class NotFound(FhirError):
    """Absent or hidden: nobody can tell which."""

    status = 404
    issue = IssueType.NOT_FOUND


class NotAllowed(FhirError):
    """A method that this server does not offer there."""

    status = 405
    issue = IssueType.NOT_SUPPORTED


class NotAcceptable(FhirError):
    """No representation of the kind asked for."""

    status = 406
    issue = IssueType.NOT_SUPPORTED


class Conflict(FhirError):
    """The stored state forbids it."""

    status = 409
    issue = IssueType.CONFLICT


class Gone(FhirError):
    """Deleted, for somebody who could see it."""

    status = 410
    issue = IssueType.DELETED


class PreconditionFailed(FhirError):
    """If-Match, If-None-Match, or a condition that matches several resources."""

    status = 412
    issue = IssueType.CONFLICT


class TooLarge(FhirError):
    """A body over the limit."""

    status = 413
    issue = IssueType.TOO_LONG


class UnsupportedMedia(FhirError):
    """A body of a kind or coding that is not read here."""

    status = 415
    issue = IssueType.NOT_SUPPORTED


class Unprocessable(FhirError):
    """Against the rules of the standard or of the DMP."""

    status = 422
    issue = IssueType.PROCESSING


class TooManyRequests(FhirError):
    """Too much at once."""

    status = 429
    issue = IssueType.THROTTLED


class Unavailable(FhirError):
    """The database or the trail cannot answer; nothing was shown or changed."""

    status = 503
    issue = IssueType.TRANSIENT


class TryAgain(Unavailable):
    """The database gave up a transaction that met another one: nothing was changed, and it may be begun again."""
