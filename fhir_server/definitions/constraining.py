"""One element of a differential over the element it constrains.

https://hl7.org/fhir/R4/profiling.html#limitations: a profile narrows what its base allows, and never widens it.
What it tells replaces what the base says, but for what accumulates (constraints, conditions) and what is kept.
"""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.definitions.bad_profile import Defect
from fhir_server.definitions.differentials import objects, texts
from fhir_server.definitions.messages import told as message
from fhir_server.fhir.json import Json, JsonObject

STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
UNBOUNDED = 1 << 31

ANY_OF = {"Resource", "DomainResource", "Element", "BackboneElement"}
"""Abstract types that a type derived from them may narrow."""

BY_TYPE: JsonObject = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}
"""How a choice is sliced."""

_PLACED = {"id", "path", "sliceName", "base"}
"""Members that follow from where an element stands."""

_SHAPES = {"type": list, "constraint": list, "condition": list, "slicing": dict, "binding": dict}
"""What a member that is understood here must be."""

_STRENGTHS = ("example", "preferred", "extensible", "required")
_RULES = ("open", "openAtEnd", "closed")

Chain = Callable[[str], list[str]]
"""The URLs of a definition and of what it derives from, nearest first; empty where it is not known."""


class Contradiction(Defect):
    """How an element contradicts its base."""


def constrained(base: JsonObject, told: JsonObject, source: str, chain: Chain, *, root: bool = False) -> JsonObject:
    """The element of the base, with what is told of it. ``source`` is the profile, ``root`` its first element."""
    _not_contradicting(base, told, root=root)
    element = {**base, **{name: value for name, value in told.items() if name not in _PLACED}}
    element["min"], element["max"] = cardinality(base, told)
    if "type" in told:
        element["type"] = [_type(objects(base.get("type")), plain(use), chain) for use in objects(told["type"])]
    if "slicing" in told:
        element["slicing"] = slicing(base.get("slicing"), told["slicing"])
    if "constraint" in told:
        element["constraint"] = constraints(objects(base.get("constraint")), objects(told["constraint"]), source)
    if "condition" in told:
        element["condition"] = list(dict.fromkeys([*texts(base.get("condition")), *texts(told["condition"])]))
    if "binding" in told:
        element["binding"] = _binding(base.get("binding"), told["binding"])
    _of_an_allowed_type(element, told)
    return element


def _not_contradicting(base: JsonObject, told: JsonObject, *, root: bool) -> None:
    """Refuse what no profile can tell, whatever else it tells."""
    for name, shape in _SHAPES.items():
        if name in told and not isinstance(told[name], shape):
            raise Contradiction(message("must-be-an-array" if shape is list else "must-be-an-object", name=name))
    if "contentReference" in told and _refers_to(told) != _refers_to(base):
        raise Contradiction(message("content-by-base"))
    if bool(told.get("isModifier", base.get("isModifier"))) != bool(base.get("isModifier")) and not root:
        raise Contradiction(message("modifier-by-base"))
    if base.get("mustSupport") and not told.get("mustSupport", True):
        raise Contradiction(message("must-support-stays"))


def _refers_to(element: JsonObject) -> str:
    """The element whose content this one has: ``Questionnaire.item``, with or without the definition it is in."""
    return str(element.get("contentReference", "")).rpartition("#")[2]


def cardinality(base: JsonObject, told: JsonObject) -> tuple[int, str]:
    """``min`` and ``max``, where told within those of the base."""
    least, most = told.get("min", base.get("min", 0)), told.get("max", base.get("max", "*"))
    if not isinstance(least, int) or isinstance(least, bool) or not isinstance(most, str):
        raise Contradiction(message("min-and-max"))
    lowest, highest = base.get("min", 0), str(base.get("max", "*"))
    if "min" in told and isinstance(lowest, int) and least < lowest:
        raise Contradiction(message("min-below-base", min=least, least=lowest))
    if "max" in told and number(most) > number(highest):
        raise Contradiction(message("max-above-base", max=most, most=highest))
    if least > number(most):
        raise Contradiction(message("min-above-max", min=least, max=most))
    return least, most


def number(most: str) -> int:
    """A ``max`` as a number."""
    if most == "*":
        return UNBOUNDED
    if not (most.isascii() and most.isdigit()):
        raise Contradiction(message("no-max", found=most))
    return int(most)


def constraints(base: list[JsonObject], told: list[JsonObject], source: str) -> list[Json]:
    """Those of the base, and what is told beyond them with the profile as its source.

    A constraint of the base is repeated by many profiles: it stands once. One that has its key and asks for something
    else is one more, for the profile cannot lift what the base asks.
    """
    known = {_asked(one) for one in base}
    more = [one if "source" in one else {**one, "source": source} for one in told if _asked(one) not in known]
    return [*base, *more]


def _asked(constraint: JsonObject) -> tuple[str, str]:
    """The key and the expression, whatever JSON stands there."""
    return str(constraint.get("key")), str(constraint.get("expression"))


def slicing(base: Json, told: Json) -> Json:
    """How an element is sliced. A profile may add discriminators, an order, or close what is open."""
    if not isinstance(told, dict) or told.get("rules") not in _RULES:
        raise Contradiction(message("slicing-rules"))
    if not isinstance(base, dict):
        return told
    known, asked = objects(base.get("discriminator")), objects(told.get("discriminator"))
    if asked and not all(one in asked for one in known):
        raise Contradiction(message("discriminators-left-out"))
    if base.get("ordered") and told.get("ordered") is False:
        raise Contradiction(message("ordered-in-base"))
    if _RULES.index(told["rules"]) < _RULES.index(str(base.get("rules", "open"))):
        if asked == known == BY_TYPE["discriminator"]:
            # Authoring tools repeat that a choice is sliced by type, openly, over whatever the base says.
            return base
        raise Contradiction(message("slicing-cannot-become", before=base["rules"], after=told["rules"]))
    return {**base, **told}


def _binding(base: Json, told: Json) -> Json:
    if not isinstance(told, dict) or not isinstance(base, dict):
        return told
    before, after = base.get("strength"), told.get("strength", base.get("strength"))
    if before == "required" and after in _STRENGTHS and after != before:
        raise Contradiction(message("binding-cannot-become", after=after))
    # A bound of the base or its words say nothing about another value set.
    return {"strength": after, **told} if "valueSet" in told else {**base, **told}


def plain(use: JsonObject) -> JsonObject:
    """A type as our definitions name it: ``http://hl7.org/fhirpath/System.String`` is the FHIR type it stands for."""
    code = use.get("code")
    if not isinstance(code, str) or not code:
        raise Contradiction(message("type-without-code"))
    if not code.startswith("http://hl7.org/fhirpath/System."):
        return use
    told = [one.get("valueUrl", one.get("valueUri")) for one in objects(use.get("extension"))]
    stands_for = next((one for one in told if isinstance(one, str)), code.rpartition(".")[2].lower())
    return {name: value for name, value in {**use, "code": stands_for}.items() if name != "extension"}


def _type(base: list[JsonObject], use: JsonObject, chain: Chain) -> JsonObject:
    code = str(use["code"])
    same = [one for one in base if one.get("code") == code]
    if not same:
        kinds = {url.removeprefix(STRUCTURE_DEFINITION) for url in chain(STRUCTURE_DEFINITION + code)}
        if not any(one.get("code") in ANY_OF & kinds for one in base):
            if not base:
                raise Contradiction(message("no-type-allowed", type=code))
            allowed = ", ".join(str(one.get("code")) for one in base)
            raise Contradiction(message("type-not-allowed", type=code, allowed=allowed))
        return use
    inherited = {name: value for name, value in same[0].items() if name not in use}
    _profiles_of(code, texts(use.get("profile")), chain)
    _targets_within(
        texts(use.get("targetProfile")), [t for one in same for t in texts(one.get("targetProfile"))], chain
    )
    return {**use, **inherited}


def _profiles_of(code: str, profiles: list[str], chain: Chain) -> None:
    """A profile that is known must be one of the type."""
    for profile in profiles:
        known = chain(profile)
        if known and STRUCTURE_DEFINITION + code not in known:
            raise Contradiction(message("no-profile-of-type", url=profile, type=code))


def _targets_within(told: list[str], base: list[str], chain: Chain) -> None:
    """A target that is known must derive from one that the base allows."""
    if not base:
        return
    allowed = {target.partition("|")[0] for target in base}
    for target in told:
        known = chain(target)
        if known and not allowed.intersection(known):
            raise Contradiction(message("target-not-allowed", url=target))


def _of_an_allowed_type(element: JsonObject, told: JsonObject) -> None:
    """``fixedUri`` is for an element that can be a uri."""
    types = {str(use["code"]) for use in objects(element.get("type"))}
    for name in told:
        for kind in ("fixed", "pattern", "minValue", "maxValue"):
            of = name.removeprefix(kind)
            if name.startswith(kind) and types and not any(of == code[:1].upper() + code[1:] for code in types):
                raise Contradiction(message("for-another-type", name=name, types=", ".join(sorted(types))))
