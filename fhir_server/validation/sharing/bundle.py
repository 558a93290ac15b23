"""The Bundle of ITI-65, Provide Document Bundle: one submission set, and what it is about.

https://profiles.ihe.net/ITI/MHD/ITI-65.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import Issue, IssueType, Severity
from fhir_server.validation.messages import told
from fhir_server.validation.sharing.profiles import (
    FOLDER,
    PDSM_PROVIDE,
    PROVIDE_MINIMAL,
    PROVIDES,
    SUBMISSION_SET,
    Profile,
    Provide,
    declared,
    list_type,
)

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.messages import Told

SUPERSEDED_PATH: Final = "DocumentReference.status"


@dataclass(frozen=True, slots=True)
class Provided:
    """One entry, as far as the rules of the Bundle look at it."""

    position: int
    method: str
    type: str
    """Of the request's URL."""
    full_url: str | None
    resource: JsonObject | None

    @property
    def is_document(self) -> bool:
        """A DocumentReference to be created."""
        return self.method == "POST" and self.type == "DocumentReference"

    @property
    def list_type(self) -> str | None:
        """Of a List of MHD, which one it is."""
        return list_type(self.resource) if self.type == "List" and self.resource is not None else None


def provide_of(bundle: JsonObject, entries: Sequence[Provided], *, is_publisher: bool, is_care: bool) -> Provide | None:
    """Which profile of ITI-65 a transaction is to be looked at by, or none where it shares no documents.

    What it declares; in care, whatever shares documents is of PDSm. A publisher's transaction with a submission set is
    one of MHD, whether it says so or not.
    """
    named = [PROVIDES[url] for url in declared(bundle) if url in PROVIDES]
    shares = any(one.is_document for one in entries)
    if is_care and (shares or named):
        return PDSM_PROVIDE
    if named:
        return max(named, key=lambda one: one.is_french)
    submits = any(one.list_type == SUBMISSION_SET for one in entries)
    return PROVIDE_MINIMAL if is_publisher and submits else None


def level_of(entry: Provided, provide: Provide) -> Profile | None:
    """What an entry is at the least, whatever it declares itself."""
    if entry.is_document:
        return provide.reference
    if entry.list_type == SUBMISSION_SET:
        return provide.submission
    return provide.folder if entry.list_type == FOLDER else None


def issues_of_bundle(bundle: JsonObject, entries: Sequence[Provided], provide: Provide) -> list[Issue]:
    """What is wrong with the Bundle by itself: its entries are looked at one by one, each by its own profile."""
    return [
        *_of_profile(bundle, provide),
        *_of_submission(entries, provide),
        *_of_entries(entries, provide),
        *_of_links(entries, provide),
    ]


def _broken(provide: Provide, rule: str, code: IssueType, sentence: Told, where: str) -> Issue:
    return Issue(Severity.ERROR, code, sentence.en, (where,), sentence.fr, rule, provide.url)


def _of_profile(bundle: JsonObject, provide: Provide) -> Iterator[Issue]:
    if provide.is_french and provide.url not in declared(bundle):
        sentence = told("bundle-profile", url=provide.url)
        yield _broken(provide, "min", IssueType.REQUIRED, sentence, "Bundle.meta.profile")


def _of_submission(entries: Sequence[Provided], provide: Provide) -> Iterator[Issue]:
    sets = [one for one in entries if one.list_type == SUBMISSION_SET]
    if len(sets) != 1:
        sentence = (
            told("several-submission-sets", number=len(sets), profile=provide.name)
            if sets
            else told("no-submission-set", profile=provide.name)
        )
        yield _broken(provide, "max" if sets else "min", IssueType.REQUIRED, sentence, "Bundle.entry")
    for one in sets:
        if one.method != "POST":
            sentence = told("submission-by-post", method=one.method, profile=provide.name)
            where = f"Bundle.entry[{one.position}].request.method"
            yield _broken(provide, "value", IssueType.VALUE, sentence, where)
    if provide.is_french and not any(one.is_document for one in entries):
        sentence = told("no-document", profile=provide.name)
        yield _broken(provide, "min", IssueType.REQUIRED, sentence, "Bundle.entry")


def _of_entries(entries: Sequence[Provided], provide: Provide) -> Iterator[Issue]:
    """PDSm closes the list of what may be in the Bundle; of MHD all else may be there too."""
    for one in entries:
        if one.type == "DocumentReference" and one.method == "PATCH":
            yield from _of_patch(one, provide)
        elif provide.is_french and not _belongs(one):
            sentence = told("no-part", method=one.method, type=one.type or told("this-url"), profile=provide.name)
            where = f"Bundle.entry[{one.position}].request"
            yield _broken(provide, "slicing", IssueType.BUSINESS_RULE, sentence, where)


def _belongs(entry: Provided) -> bool:
    match entry.method, entry.type:
        case ("POST", "DocumentReference" | "Binary" | "Patient"):
            return True
        case ("POST", "Bundle"):
            return entry.resource is not None and entry.resource.get("type") == "document"
        case ("POST", "List"):
            return entry.list_type is not None
        case ("PUT", "List"):
            return entry.list_type == FOLDER
        case _:
            return False


def _of_patch(entry: Provided, provide: Provide) -> Iterator[Issue]:
    """Of a document that is replaced, its status alone is changed, by a FHIRPath Patch of one operation."""
    parameters = entry.resource if entry.resource is not None else {}
    if provide.is_french and _operation(parameters) != {
        "type": "replace",
        "path": SUPERSEDED_PATH,
        "value": "superseded",
    }:
        where = f"Bundle.entry[{entry.position}].resource"
        yield _broken(provide, "patch", IssueType.BUSINESS_RULE, told("patch", path=SUPERSEDED_PATH), where)


def _operation(parameters: JsonObject) -> dict[str, Json]:
    """The one operation of a FHIRPath Patch, by the names of its parts."""
    operations = parameters.get("parameter")
    if not isinstance(operations, list) or len(operations) != 1 or not isinstance(operations[0], dict):
        return {}
    parts = operations[0].get("part")
    named: dict[str, Json] = {}
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and isinstance(name := part.get("name"), str):
            named[name] = next((value for member, value in part.items() if member.startswith("value")), None)
    return named


def _of_links(entries: Sequence[Provided], provide: Provide) -> Iterator[Issue]:
    """Each document is in the submission set, and its content in the Bundle, where it is named as if it were."""
    names = {one.full_url for one in entries if one.full_url is not None}
    items = {
        literal
        for one in entries
        if one.list_type == SUBMISSION_SET
        for literal in _literals(one.resource, "entry", "item")
    }
    for one in entries:
        if not one.is_document or one.resource is None:
            continue
        if one.full_url is None or one.full_url not in items:
            where = f"Bundle.entry[{one.position}].fullUrl"
            sentence = told("not-submitted", profile=provide.name)
            yield _broken(provide, "submission", IssueType.BUSINESS_RULE, sentence, where)
        for position, url in _contents(one.resource):
            if url.startswith("urn:") and url not in names:
                where = f"Bundle.entry[{one.position}].resource.content[{position}].attachment.url"
                sentence = told("content-not-in-bundle", url=url[:100])
                yield _broken(provide, "reference", IssueType.NOT_FOUND, sentence, where)


def _literals(resource: JsonObject | None, element: str, member: str) -> Iterator[str]:
    elements = resource.get(element) if resource is not None else None
    for one in elements if isinstance(elements, list) else []:
        value = one.get(member) if isinstance(one, dict) else None
        literal = value.get("reference") if isinstance(value, dict) else None
        if isinstance(literal, str):
            yield literal


def _contents(document: JsonObject) -> Iterator[tuple[int, str]]:
    contents = document.get("content")
    for position, content in enumerate(contents if isinstance(contents, list) else []):
        attachment = content.get("attachment") if isinstance(content, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str):
            yield position, url
