"""Which representation is asked for and which one was sent.

https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fhir_server.fhir.errors import NotAcceptable, UnsupportedMedia

FHIR_JSON: Final = "application/fhir+json"
_JSON: Final = frozenset({FHIR_JSON, "application/json", "application/json+fhir", "text/json"})
_ANYTHING: Final = frozenset({"*/*", "application/*"})
_JSON_FORMATS: Final = _JSON | {"json"}
JSON_PATCH: Final = "application/json-patch+json"
FORM: Final = "application/x-www-form-urlencoded"
_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
"""Of the ``fhirVersion`` of a media type: https://hl7.org/fhir/R4/http.html#version-parameter"""


@lru_cache(maxsize=512)
def acceptable(accept: str | None, format: str | None, *, binary: bool) -> frozenset[str]:
    """Check that JSON will do; 406 where it will not.

    ``_format`` wins over ``Accept``. For a Binary, other media types may be asked for: they are answered.
    """
    if format is not None:
        if format.partition(";")[0].strip().replace(" ", "+") not in _JSON_FORMATS:
            raise NotAcceptable(
                f"_format={format[:80]} is not offered: this server speaks JSON ({FHIR_JSON}).",
                expression=("http._format",),
            )
        return frozenset()
    if accept is None or not accept.strip():
        return frozenset()
    wanted = [part for part in (_range(part) for part in accept.split(",")) if part is not None]
    if any(media in _JSON | _ANYTHING for media in wanted):
        return frozenset()
    if binary and wanted:
        return frozenset(wanted)
    raise NotAcceptable(f"None of {accept[:200]!r} is offered: this server speaks JSON ({FHIR_JSON}).")


def _range(part: str) -> str | None:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    if not media or any(piece.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for piece in parameters):
        return None
    return media if all(_is_of_r4(piece) for piece in parameters) else None


def _is_of_r4(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() != "fhirversion" or value.strip().strip('"') in _VERSIONS


@lru_cache(maxsize=128)
def must_be(content_type: str | None, *wanted: str) -> None:
    """Check the media type of a body; 415 for another one, another charset than UTF-8 or version than R4."""
    media, *parameters = (piece.strip().lower() for piece in (content_type or "").split(";"))
    allowed = _JSON if wanted == (FHIR_JSON,) else frozenset(wanted)
    if media not in allowed:
        told = content_type[:120] if content_type else "of no stated type"
        raise UnsupportedMedia(f"The body must be {' or '.join(wanted)}; it is {told}.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMedia("The body must be UTF-8.")
        if not _is_of_r4(parameter):
            raise UnsupportedMedia("The body must be of FHIR R4 (fhirVersion=4.0).")
