"""The invariants of the standard that are checked by closures, by key, and those that are not, with the reason.

https://hl7.org/fhir/R4/conformance-rules.html#constraints

What each key means is told by the tables (`Structure.invariants`), where the wording of a diagnostic comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from fhir_server.fhir.json import JsonObject
from fhir_server.validation.predicates import (
    UCUM,
    Holds,
    always,
    any_of,
    at_most_one,
    coded,
    descendants,
    distinct,
    exactly_one,
    has,
    has_not,
    if_then,
    items,
    needs,
    not_later,
    not_negative,
    number,
    of_ucum,
    present,
    says,
)

_ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_MAX_PERCENT = 100


def _extension(value: JsonObject) -> bool:
    # Extensions are everywhere: what is neither url, id nor extension is counted instead of looked at by name.
    others = len(value) - ("url" in value) - ("id" in value)
    return (others == 1) if "extension" in value else others > 0


def _age(value: JsonObject) -> bool:
    found = number(value, "value")
    return needs("value", "code")(value) and of_ucum(value) and (found is None or found > 0)


def _count(value: JsonObject) -> bool:
    is_one = not present(value, "code") or value.get("code") == "1"
    found = number(value, "value")
    is_whole = not isinstance(found, Decimal) or "." not in str(found)
    return needs("value", "code")(value) and of_ucum(value) and is_one and is_whole


def _range(value: JsonObject) -> bool:
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return True
    if any(low.get(name) != high.get(name) for name in ("system", "code", "unit")):
        return True  # not comparable without converting units
    lowest, highest = number(low, "value"), number(high, "value")
    return lowest is None or highest is None or lowest <= highest


def _ratio(value: JsonObject) -> bool:
    numerator = present(value, "numerator")
    return numerator == present(value, "denominator") and (numerator or present(value, "extension"))


def _trigger(value: JsonObject) -> bool:
    kind = value.get("type")
    if kind == "named-event":
        return present(value, "name")
    if kind == "periodic":
        return present(value, "timing[x]")
    return not (isinstance(kind, str) and kind.startswith("data-")) or present(value, "data")


def _offset(value: JsonObject) -> bool:
    when = value.get("when")
    meals = {"C", "CM", "CD", "CV"}
    return not present(value, "offset") or (
        isinstance(when, list) and not any(isinstance(code, str) and code in meals for code in when)
    )


def _every_entry(name: str, *types: str) -> Holds:
    """Each entry has the element exactly when the Bundle is of one of the types."""

    def holds(value: JsonObject) -> bool:
        expected = value.get("type") in types
        return all(present(entry, name) == expected for entry in items(value, "entry"))

    return holds


def _full_urls(value: JsonObject) -> bool:
    if value.get("type") == "history":
        return True
    told = []
    for entry in items(value, "entry"):
        resource = entry.get("resource")
        meta = resource.get("meta") if isinstance(resource, dict) else None
        if present(entry, "fullUrl"):
            told.append((str(entry.get("fullUrl")), str(meta.get("versionId")) if isinstance(meta, dict) else ""))
    return len(set(told)) == len(told)


def _full_url_of_no_version(value: JsonObject) -> bool:
    full_url = value.get("fullUrl")
    return not isinstance(full_url, str) or "/_history/" not in full_url


def _identified(value: JsonObject) -> bool:
    identifier = value.get("identifier")
    return isinstance(identifier, dict) and present(identifier, "system") and present(identifier, "value")


def _first_is(resource_type: str) -> Holds:
    def holds(value: JsonObject) -> bool:
        resources = [entry.get("resource") for entry in items(value, "entry")[:1]]
        return any(isinstance(r, dict) and r.get("resourceType") == resource_type for r in resources)

    return holds


def _parameter(value: JsonObject) -> bool:
    if present(value, "part"):
        return has_not("value[x]", "resource")(value)
    return exactly_one("value[x]", "resource")(value)


def _component_codes(value: JsonObject) -> bool:
    code = value.get("code")
    codings = items(code, "coding") if isinstance(code, dict) else []
    concepts = [component.get("code") for component in items(value, "component")]
    return not any(coding in codings for c in concepts if isinstance(c, dict) for coding in items(c, "coding"))


def _entered_in_error(system: str) -> Holds:
    return lambda value: coded(value, "verificationStatus", system, "entered-in-error")


def _no_item_has(name: str, member: str) -> Holds:
    return lambda value: not any(present(item, member) for item in items(value, name))


def _unique_descendants(name: str, member: str) -> Holds:
    def holds(value: JsonObject) -> bool:
        told = [str(item[member]) for item in descendants(value, name) if member in item]
        return len(set(told)) == len(told)

    return holds


def _at_least_two(name: str) -> Holds:
    return lambda value: len(items(value, name)) > 1


def _probability(value: JsonObject) -> bool:
    found = number(value, "probabilityDecimal")
    return found is None or found <= _MAX_PERCENT


def _positive_or_many(value: JsonObject) -> bool:
    most = value.get("max")
    return most == "*" or (isinstance(most, str) and most.isascii() and most.isdigit() and int(most[:9]) > 0)


def _enabled_by_boolean(value: JsonObject) -> bool:
    return value.get("operator") != "exists" or "answerBoolean" in value


def _has_enable_behavior(value: JsonObject) -> bool:
    conditions = value.get("enableWhen")
    return not isinstance(conditions, list) or len(conditions) <= 2 or present(value, "enableBehavior")  # noqa: PLR2004 - the standard's number


def _one_initial(value: JsonObject) -> bool:
    initial = value.get("initial")
    return value.get("repeats") is True or not isinstance(initial, list) or len(initial) <= 1


def _any_of_nested(name: str, member: str) -> Holds:
    def holds(value: JsonObject) -> bool:
        nested = value.get(name)
        return any(present(n, member) for n in ([nested] if isinstance(nested, dict) else items(value, name)))

    return holds


_ANSWERED_FROM_A_LIST = (
    "choice",
    "open-choice",
    "decimal",
    "integer",
    "date",
    "dateTime",
    "time",
    "string",
    "quantity",
)
_OF_LIMITED_LENGTH = ("boolean", "decimal", "integer", "string", "text", "url", "open-choice")

DATA_TYPES: Mapping[str, Holds] = {
    "age-1": _age,
    "att-1": needs("data", "contentType"),
    "cnt-3": _count,
    "cpt-2": needs("value", "system"),
    "dis-1": always(needs("value", "code"), of_ucum),
    "drq-1": exactly_one("path", "searchParam"),
    "drq-2": exactly_one("path", "searchParam"),
    "drt-1": if_then(has("code"), always(says("system", UCUM), has("value"))),
    "exp-1": any_of("expression", "reference"),
    "ext-1": _extension,
    "per-1": not_later("start", "end"),
    "qty-3": needs("code", "system"),
    "rat-1": _ratio,
    "rng-2": _range,
    "tim-1": needs("duration", "durationUnit"),
    "tim-2": needs("period", "periodUnit"),
    "tim-4": not_negative("duration"),
    "tim-5": not_negative("period"),
    "tim-6": needs("periodMax", "period"),
    "tim-7": needs("durationMax", "duration"),
    "tim-8": needs("countMax", "count"),
    "tim-9": _offset,
    "tim-10": at_most_one("timeOfDay", "when"),
    "trd-1": at_most_one("data", "timing[x]"),
    "trd-2": needs("condition", "data"),
    "trd-3": _trigger,
}

RESOURCES: Mapping[str, Holds] = {
    "ait-1": lambda value: _entered_in_error(_ALLERGY_VERIFICATION)(value) or present(value, "clinicalStatus"),
    "ait-2": if_then(_entered_in_error(_ALLERGY_VERIFICATION), has_not("clinicalStatus")),
    "app-1": any_of("type", "actor"),
    "app-2": lambda value: present(value, "start") == present(value, "end"),
    "app-3": lambda value: (
        (present(value, "start") and present(value, "end"))
        or value.get("status") in ("proposed", "cancelled", "waitlist")
    ),
    "app-4": if_then(has("cancelationReason"), says("status", "no-show", "cancelled")),
    "apr-1": any_of("participantType", "actor"),
    "bdl-1": if_then(has("total"), says("type", "searchset", "history")),
    "bdl-2": lambda value: value.get("type") == "searchset" or _no_item_has("entry", "search")(value),
    "bdl-3": _every_entry("request", "batch", "transaction", "history"),
    "bdl-4": _every_entry("response", "batch-response", "transaction-response", "history"),
    "bdl-5": any_of("resource", "request", "response"),
    "bdl-7": _full_urls,
    "bdl-8": _full_url_of_no_version,
    "bdl-9": if_then(says("type", "document"), _identified),
    "bdl-10": if_then(says("type", "document"), lambda value: "timestamp" in value),
    "bdl-11": if_then(says("type", "document"), _first_is("Composition")),
    "bdl-12": if_then(says("type", "message"), _first_is("MessageHeader")),
    "ces-1": exactly_one("category", "productOrService"),
    "cmp-1": any_of("text", "entry", "section"),
    "cmp-2": at_most_one("emptyReason", "entry"),
    "con-1": any_of("summary", "assessment"),
    "con-2": any_of("code", "detail"),
    "con-4": if_then(
        has("abatement[x]"),
        lambda value: coded(value, "clinicalStatus", _CONDITION_CLINICAL, "resolved", "remission", "inactive"),
    ),
    "con-5": if_then(_entered_in_error(_CONDITION_VERIFICATION), has_not("clinicalStatus")),
    "cpl-3": at_most_one("detail", "reference"),
    "fhs-1": at_most_one("age[x]", "born[x]"),
    "fhs-2": needs("estimatedAge", "age[x]"),
    "gol-1": needs("detail[x]", "measure"),
    "grp-1": if_then(has("member"), lambda value: value.get("actual") is True),
    "imm-1": any_of("documentType", "reference"),
    "imr-1": any_of("vaccineCode", "targetDisease"),
    "ipn-1": any_of("identifier", "name"),
    "lnk-1": _at_least_two("item"),
    "lst-1": at_most_one("emptyReason", "entry"),
    "lst-2": lambda value: value.get("mode") == "changes" or _no_item_has("entry", "deleted")(value),
    "lst-3": lambda value: value.get("mode") == "working" or _no_item_has("entry", "date")(value),
    "mad-1": any_of("dose", "rate[x]"),
    "mdd-1": not_later("whenPrepared", "whenHandedOver"),
    "mrp-1": if_then(says("type", "data-collection"), has_not("group")),
    "obs-3": any_of("low", "high", "text"),
    "obs-6": at_most_one("dataAbsentReason", "value[x]"),
    "obs-7": if_then(has("value[x]"), _component_codes),
    "org-1": any_of("identifier", "name"),
    "pat-1": any_of("name", "telecom", "address", "organization"),
    "ppc-1": any_of("policy", "policyRule"),
    "prr-1": needs("orderDetail", "code"),
    "qrs-1": at_most_one("answer", "item"),
    "ras-2": _probability,
    "rqg-1": exactly_one("resource", "action"),
    "sev-1": at_most_one("name", "query"),
}

CONFORMANCE: Mapping[str, Holds] = {
    "cmd-1": if_then(says("equivalence", "narrower", "inexact"), has("comment")),
    "cmd-2": if_then(says("mode", "fixed"), has("code")),
    "cmd-3": if_then(says("mode", "other-map"), has("url")),
    "cpb-1": any_of("rest", "messaging", "document"),
    "cpb-2": any_of("description", "software", "implementation"),
    "cpb-3": lambda value: value.get("kind") == "instance" or not _any_of_nested("messaging", "endpoint")(value),
    "cpb-7": distinct("document", "profile", "mode"),
    "cpb-9": distinct("resource", "type"),
    "cpb-12": distinct("searchParam", "name"),
    "cpb-14": if_then(says("kind", "instance"), has("implementation")),
    "cpb-15": if_then(says("kind", "capability"), always(has_not("implementation"), has("software"))),
    "cpb-16": if_then(says("kind", "requirements"), has_not("implementation", "software")),
    "csd-1": _unique_descendants("concept", "code"),
    "md-1": _positive_or_many,
    "msq-3": lambda value: value.get("coordinateSystem") in (0, 1),
    "msq-5": lambda value: present(value, "chromosome") == present(value, "genomeBuild"),
    "msq-6": exactly_one("genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString"),
    "nsd-1": lambda value: (
        value.get("kind") != "root" or all(i.get("type") != "uuid" for i in items(value, "uniqueId"))
    ),
    "opd-1": any_of("type", "part"),
    "opd-2": if_then(has("searchType"), says("type", "string")),
    "opd-3": if_then(has("targetProfile"), says("type", "Reference", "canonical")),
    "que-1": lambda value: (
        present(value, "item")
        if value.get("type") == "group"
        else value.get("type") != "display" or "item" not in value
    ),
    "que-2": _unique_descendants("item", "linkId"),
    "que-3": if_then(says("type", "display"), has_not("code")),
    "que-4": at_most_one("answerOption", "answerValueSet"),
    "que-5": lambda value: (
        value.get("type") in _ANSWERED_FROM_A_LIST or has_not("answerValueSet", "answerOption")(value)
    ),
    "que-6": if_then(says("type", "display"), has_not("required", "repeats")),
    "que-7": _enabled_by_boolean,
    "que-8": if_then(says("type", "group", "display"), has_not("initial")),
    "que-9": if_then(says("type", "display"), has_not("readOnly")),
    "que-10": if_then(has("maxLength"), says("type", *_OF_LIMITED_LENGTH)),
    "que-11": at_most_one("answerOption", "initial"),
    "que-12": _has_enable_behavior,
    "que-13": _one_initial,
    "sdf-2": any_of("name", "uri"),
    "sdf-4": lambda value: value.get("abstract") is True or present(value, "baseDefinition"),
    "sdf-6": any_of("snapshot", "differential"),
    "sdf-18": if_then(has("contextInvariant"), says("type", "Extension")),
    "smp-1": needs("element", "context"),
    "smp-2": needs("context", "contextType"),
    "spd-1": needs("xpath", "xpathUsage"),
    "spd-2": if_then(has("chain"), says("type", "reference")),
    "tcp-2": any_of("description", "software", "implementation"),
    "tcp-3": if_then(says("kind", "instance"), has("implementation")),
    "tcp-4": if_then(says("kind", "capability"), always(has_not("implementation"), has("software"))),
    "tcp-5": if_then(says("kind", "requirements"), has_not("implementation", "software")),
    "tst-1": exactly_one("operation", "assert"),
    "tst-2": exactly_one("operation", "assert"),
    "vsd-1": any_of("valueSet", "system"),
    "vsd-2": if_then(any_of("concept", "filter"), has("system")),
    "vsd-3": at_most_one("concept", "filter"),
    "vsd-6": any_of("code", "display"),
    "vsd-9": lambda value: present(value, "code") or value.get("abstract") is True,
    "vsd-10": needs("code", "system"),
}

OF_STRUCTURE: Mapping[tuple[str, str], Holds] = {
    ("Parameters.parameter", "inv-1"): _parameter,
    ("Task", "inv-1"): not_later("authoredOn", "lastModified"),
    ("TestReport.setup.action", "inv-1"): exactly_one("operation", "assert"),
    ("TestReport.test.action", "inv-2"): exactly_one("operation", "assert"),
}
"""Keys that the standard uses for several invariants."""

OF_USE: Mapping[str, Holds] = {
    "org-2": lambda value: value.get("use") != "home",
    "org-3": lambda value: value.get("use") != "home",
}
"""Invariants of one use of a data type, checked on each item."""

CHECKED_ELSEWHERE = frozenset(["dom-2", "dom-3", "dom-4", "dom-5", "ele-1", "ref-1", "txt-1", "txt-2"])
"""In `objects`, `references` and `narrative`."""

BY_EXPRESSION = frozenset(
    """eld-1 eld-2 eld-4 eld-5 eld-6 eld-7 eld-8 eld-12 eld-13 eld-14 eld-15 eld-16 eld-17 eld-18 eld-19 eld-22
    sdf-1 sdf-3 sdf-5 sdf-8b sdf-9 sdf-11 sdf-14 sdf-15 sdf-15a sdf-16 sdf-17 sdf-19 sdf-20 sdf-21 sdf-22 sdf-23
    ig-1 ig-2 mea-1 mrp-2 nsd-2 tcp-1 tst-3 tst-4 tst-5 tst-7 tst-10 tst-12""".split()
)
"""Checked by the expression of the standard, see `expressions`: of definitions, not of care."""

BY_EXPRESSION_OF_USE = frozenset("sdf-10 ras-1 tst-6 tst-8 tst-9 tst-11 tst-13".split())
"""The same, of one use of a type."""

BY_EXPRESSION_ABOVE = frozenset("eld-3 sdf-8 sdf-8a".split())
"""The same, asked one level above: of a primitive, and of what looks at the whole resource."""

NOT_CHECKED: Mapping[str, frozenset[str]] = {
    "needs the target of a reference": frozenset(["ctm-1"]),
    "asks whether there is an answer, be it false, so that it always holds": frozenset(["eld-11"]),
    "names the system 'something', so that it never applies": frozenset(["ppc-2", "ppc-3", "ppc-4", "ppc-5"]),
}
"""By reason."""
