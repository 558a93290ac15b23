"""Between the representation outside and the JSON inside: nothing below the front door knows XML (ADR 0006, 0026).

https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from fhir_server.definitions.xml_codec import XmlCodec
from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, NotAcceptable, TooLarge
from fhir_server.fhir.outcome import IssueType, warning
from fhir_server.http.messages import told
from fhir_server.http.negotiation import Form
from fhir_server.http.response import FHIR, Response, content_type_of, of_error, outcome

if TYPE_CHECKING:
    from fhir_server.definitions.tables import Definitions
    from fhir_server.fhir.outcome import Language


class Representations:
    """Reads and writes resources as a request asks for."""

    def __init__(self, definitions: Definitions) -> None:
        """Whatever R4 defines."""
        self._codec = XmlCodec(definitions)
        self._constant = lru_cache(maxsize=2)(self._xml)

    def read(self, body: bytes, form: Form, *, limit: int) -> bytes:
        """A body in JSON; one that cannot be read is refused later, where it would be read (`json.Unreadable`)."""
        if form is Form.JSON:
            return body
        try:
            read = self._codec.to_json(body)
            if len(read) > limit:  # what has to be escaped in JSON may double
                raise TooLarge(told("too-long-in-json", size=len(read), limit=limit))
        except FhirError as error:
            return json.Unreadable(body, error)
        return read

    def written(self, response: Response, form: Form, *, pretty: bool) -> Response:
        """An answer in the representation asked for; 406 where XML cannot say what is stored."""
        if not response.body:
            return response
        if form is Form.JSON:
            return replace(response, body=json.pretty(response.body)) if pretty else response
        return _as(form, response, self._xml(response.body, pretty=pretty))

    def constant(self, response: Response, form: Form, *, pretty: bool) -> Response:
        """The same for what is answered to everybody, at any time: it is turned into XML once."""
        if form is Form.JSON or not response.body:
            return self.written(response, form, pretty=pretty)
        return _as(form, response, self._constant(response.body, pretty=pretty))

    def done(self, response: Response, form: Form, *, pretty: bool, language: Language) -> Response:
        """An answer to what is done already, told in any case: without its content, where XML cannot say it."""
        try:
            return self.written(response, form, pretty=pretty)
        except NotAcceptable as refused:
            issue = warning(IssueType.NOT_SUPPORTED, told("done-not-shown", why=refused.told))
            body, spoken = outcome([issue], language)
            headers = (*(one for one in response.headers if one[0] != spoken[0]), spoken)
            return self.written(replace(response, headers=headers, body=body), form, pretty=pretty)

    def refused(self, error: FhirError, form: Form, *, pretty: bool, language: Language) -> Response:
        """A refusal."""
        return self.written(of_error(error, language), form, pretty=pretty)

    def _xml(self, body: bytes, *, pretty: bool) -> bytes:
        return self._codec.to_xml(body, pretty=pretty)


def _as(form: Form, response: Response, body: bytes) -> Response:
    headers = tuple(content_type_of(form) if header == FHIR else header for header in response.headers)
    return replace(response, headers=headers, body=body)
