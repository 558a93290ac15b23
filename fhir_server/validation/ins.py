"""The rules of the national health identity (INS) that no profile can say.

Référentiel INS, https://esante.gouv.fr/produits-services/referentiel-ins · RNIV · FR Core,
https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins

An INS is the NIR of a person (INS-NIR), or the number that stands for it until there is one (INS-NIA). It never travels
without the five traits: birth name, given names, date of birth, sex, place of birth. Systems have one number each, so
that an INS of a trial cannot pass for a real one (ADR 0011); which of them a realm takes is not asked here.

What is missing or wrong is an error for real people. In trials it is a warning: guides and editors make up patients of
whom little is said. A key that does not fit is a warning for all, as published examples have wrong ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from fhir_server.fhir.outcome import Issue, IssueType, Severity
from fhir_server.identity.requester import Realm
from fhir_server.identity.systems import INS_NIA, INS_NIR, INS_NIR_DEMO, INS_NIR_TEST
from fhir_server.validation.finding import shown
from fhir_server.validation.messages import told

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject

INS_C: Final = "urn:oid:1.2.250.1.213.1.4.2"
"""The computed INS of before, which is no longer given."""

_FR_CORE: Final = "https://hl7.fr/ig/fhir/core/"
_TYPES: Final = f"{_FR_CORE}CodeSystem/fr-core-cs-v2-0203"
_BIRTH_PLACE: Final = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
_INSEE_CODE: Final = f"{_FR_CORE}StructureDefinition/fr-core-address-insee-code"
_RELIABILITY: Final = f"{_FR_CORE}StructureDefinition/fr-core-identity-reliability"

_OF_SYSTEM: Final = {
    INS_NIR: "INS-NIR",
    INS_NIA: "INS-NIA",
    INS_NIR_TEST: "INS-NIR-TEST",
    INS_NIR_DEMO: "INS-NIR-DEMO",
    INS_C: "INS-C",
}
"""The type of identifiers that each system holds."""
_NIR_OF_BILLING: Final = "NH"
"""In FR Core 2.1.0 the NIR of billing has the system of the INS: its type alone tells that it is none."""

_NUMBER: Final = re.compile(r"(?a:\d{5}(?:\d{2}|2[AB])\d{6})(?a:\d{2})")
_COMPUTED: Final = re.compile(r"(?a:\d{22})")
_COMMUNE: Final = re.compile(r"(?a:\d{5}|2[AB]\d{3})")
_CORSICA: Final = {"2A": "19", "2B": "18"}
"""What stands for the letter of a department while the key is computed."""
_KEY_OF: Final = 97


class _Identifier(NamedTuple):
    """One that is an INS, by its system."""

    at: str
    system: str
    value: Json
    use: Json
    types: frozenset[str]
    """Codes of the types that FR Core gives to an INS."""


def issues(patient: JsonObject, realm: Realm) -> list[Issue]:
    """What is wrong with the INS of a Patient, and with the traits that go with it."""
    grave = Severity.ERROR if realm is Realm.REEL else Severity.WARNING
    numbers = list(_identifiers(patient))
    found = [issue for number in numbers for issue in _of_number(number, grave)]
    found += _single(numbers, grave)
    if any(number.system != INS_C for number in numbers):
        found += _traits(patient, grave)
        found += _reliability(patient)
    if patient.get("gender") == "other":
        found.append(_issue(Severity.WARNING, IssueType.CODE_INVALID, "ins-gender-other", "Patient.gender"))
    return found


def key_of(number: str) -> int | None:
    """The key of a NIR, given its 13 characters; nothing where they are no NIR."""
    if not _NUMBER.fullmatch(f"{number}00"):
        return None
    department = number[5:7]
    digits = number[:5] + _CORSICA.get(department, department) + number[7:]
    return _KEY_OF - int(digits) % _KEY_OF


def _identifiers(patient: JsonObject) -> Iterator[_Identifier]:
    for position, one in enumerate(_list(patient.get("identifier"))):
        if not isinstance(one, dict):
            continue
        system = one.get("system")
        if not isinstance(system, str) or system not in _OF_SYSTEM:
            continue
        coded = list(_codings(one.get("type")))
        if any(code == _NIR_OF_BILLING for _, code in coded):
            continue
        types = frozenset(code for of, code in coded if of == _TYPES)
        yield _Identifier(f"Patient.identifier[{position}]", system, one.get("value"), one.get("use"), types)


def _of_number(number: _Identifier, grave: Severity) -> Iterator[Issue]:
    """What a number says of itself."""
    expected = _OF_SYSTEM[number.system]
    if number.types and expected not in number.types:
        found = ", ".join(sorted(number.types))
        told_of = {"found": found, "system": number.system, "expected": expected}
        yield _issue(grave, IssueType.CODE_INVALID, "ins-type", f"{number.at}.type", **told_of)
    value = number.value
    if number.system == INS_C:
        if number.use not in ("secondary", "old"):
            yield _issue(Severity.WARNING, IssueType.BUSINESS_RULE, "ins-c-obsolete", f"{number.at}.use")
        if value is not None and not (isinstance(value, str) and _COMPUTED.fullmatch(value)):
            yield _issue(Severity.WARNING, IssueType.VALUE, "ins-c-form", f"{number.at}.value", found=shown(value))
        return
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        yield _issue(grave, IssueType.VALUE, "ins-form", f"{number.at}.value", found=shown(value))
        return
    key = key_of(value[:13])
    if key is not None and key != int(value[13:]):
        told_of = {"found": shown(value), "expected": f"{key:02}"}
        yield _issue(Severity.WARNING, IssueType.VALUE, "ins-key", f"{number.at}.value", **told_of)


def _single(numbers: list[_Identifier], grave: Severity) -> Iterator[Issue]:
    """One is in force; those of before are old.

    A number of waiting is ``temp`` in FR Core 2.1.0, and official in 2.2.0. Left beside the NIR that it waited for, it
    is told of and refuses nothing.
    """
    in_force = [number for number in numbers if number.system != INS_C and number.use != "old"]
    waiting = [number for number in in_force if number.system == INS_NIA and number.use == "temp"]
    official = [number for number in in_force if number not in waiting] or waiting
    for count, number in enumerate(official[1:], start=2):
        yield _issue(grave, IssueType.BUSINESS_RULE, "ins-single", number.at, count=count)
    for count, number in enumerate(waiting if official is not waiting else (), start=len(official) + 1):
        yield _issue(Severity.WARNING, IssueType.BUSINESS_RULE, "ins-single", number.at, count=count)


def _traits(patient: JsonObject, grave: Severity) -> Iterator[Issue]:
    """The five without which an INS does not go."""
    names = [
        (f"Patient.name[{position}]", one)
        for position, one in enumerate(_list(patient.get("name")))
        if isinstance(one, dict) and one.get("use") == "official"
    ]
    at, name = names[0] if names else ("Patient.name", {})
    if not _is_text(name.get("family")):
        yield _issue(grave, IssueType.REQUIRED, "ins-family", f"{at}.family" if names else at)
    if not any(_is_text(given) for given in _list(name.get("given"))):
        yield _issue(grave, IssueType.REQUIRED, "ins-given", f"{at}.given" if names else at)
    if not _is_text(patient.get("birthDate")):
        yield _issue(grave, IssueType.REQUIRED, "ins-birth-date", "Patient.birthDate")
    if not _is_text(patient.get("gender")):
        yield _issue(grave, IssueType.REQUIRED, "ins-gender", "Patient.gender")
    places = list(_birth_places(patient))
    if not places:
        yield _issue(grave, IssueType.REQUIRED, "ins-birth-place", "Patient.extension")
    for where, code in places:
        if not _COMMUNE.fullmatch(code):
            yield _issue(Severity.WARNING, IssueType.VALUE, "ins-birth-place-form", where, found=shown(code))


def _birth_places(patient: JsonObject) -> Iterator[tuple[str, str]]:
    """The INSEE codes of the place of birth, and where they stand."""
    for position, extension in _extensions(patient, _BIRTH_PLACE):
        address = extension.get("valueAddress")
        for inside, code in _extensions(address, _INSEE_CODE):
            coding = code.get("valueCoding")
            told_of = coding.get("code") if isinstance(coding, dict) else None
            if isinstance(told_of, str) and told_of:
                yield f"Patient.extension[{position}].value.extension[{inside}].value.code", told_of


def _reliability(patient: JsonObject) -> Iterator[Issue]:
    """An INS is one of a qualified identity: validated, with traits from INSi. Silence about it is no fault."""
    stated = list(_extensions(patient, _RELIABILITY))
    statuses = [code for _, one in stated for code in _said(one, "identityStatus")]
    at = f"Patient.extension[{stated[0][0]}]" if stated else ""
    if statuses and "VALI" not in statuses:
        yield _issue(Severity.WARNING, IssueType.BUSINESS_RULE, "ins-status", at, found=", ".join(statuses))
    methods = {code for _, one in stated for code in _said(one, "methodCollection")}
    if methods == {"SM"}:
        yield _issue(Severity.WARNING, IssueType.BUSINESS_RULE, "ins-method", at)


def _said(extension: JsonObject, part: str) -> Iterator[str]:
    for _, one in _extensions(extension, part):
        coding = one.get("valueCoding")
        code = coding.get("code") if isinstance(coding, dict) else None
        if isinstance(code, str):
            yield code


def _extensions(of: Json, url: str) -> Iterator[tuple[int, JsonObject]]:
    """The extensions of this URL, with their places."""
    listed = of.get("extension") if isinstance(of, dict) else None
    for position, one in enumerate(_list(listed)):
        if isinstance(one, dict) and one.get("url") == url:
            yield position, one


def _codings(concept: Json) -> Iterator[tuple[str, str]]:
    for coding in _list(concept.get("coding")) if isinstance(concept, dict) else []:
        if isinstance(coding, dict) and isinstance(code := coding.get("code"), str):
            system = coding.get("system")
            yield (system if isinstance(system, str) else ""), code


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _issue(severity: Severity, code: IssueType, rule: str, at: str, **values: object) -> Issue:
    message = told(rule, **values)
    return Issue(severity, code, message.en, (at,), message.fr, rule)
