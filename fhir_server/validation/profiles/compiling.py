"""Compiles the tree of a profile to closures. What the tables of R4 say already is left out.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhir.messages import Told
from fhir_server.fhirpath.refused import NotUnderstood
from fhir_server.validation.messages import told
from fhir_server.validation.profiles import coded, demands, discriminators, elements, pointing, values
from fhir_server.validation.profiles.constraints import Constraint, constraints, invariant, keys
from fhir_server.validation.profiles.found import Profile
from fhir_server.validation.profiles.parts import Part, texts
from fhir_server.validation.profiles.slicing import DEFAULT, Slice, Slicing, Sort, sort

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.validation.profiles.demands import Belongs, Reasons
    from fhir_server.validation.profiles.discriminators import Discriminator
    from fhir_server.validation.profiles.profile import Library, ProfileCheck
    from fhir_server.validation.profiles.scope import ItemCheck, ObjectCheck

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_BY_URL: Final = discriminators.Discriminator("value", (demands.Step("name", "url"),), "url")
_BY_TYPE: Final = discriminators.Discriminator("type", (), "$this")


class Compiling:
    """The compilation of one profile."""

    def __init__(self, profile: Profile, library: Library) -> None:
        """What is compiled is given part by part."""
        self._profile = profile
        self._library = library
        self._telling = discriminators.Telling(library, self.refuse)
        self._contents: dict[int, ObjectCheck | None] = {}
        self.unchecked: list[tuple[str, str]] = []

    def refuse(self, path: str, why: Told) -> BadProfile:
        """What is wrong with this profile."""
        return BadProfile(self._profile.canonical, path, why)

    def root(self, root: Part) -> ItemCheck:
        """The check of the whole."""
        is_one = elements.of_type(root.path, self._profile)
        return elements.first(is_one, elements.each(self._item_checks(root, None)))

    def _element(self, parent: Part, part: Part) -> ObjectCheck | None:
        origin = part.origin
        plan = elements.Plan(
            part.path,
            f".{part.name.removesuffix('[x]')}",
            self._profile,
            self._library.reading.of_any(parent.types, part.name),
        )
        if origin is None or part.least > origin.min:
            plan.least = part.least
        if part.most is not None and (origin is None or origin.max is None or part.most < origin.max):
            plan.most = part.most
        plan.checks = self._item_checks(part, None)
        plan.sort = self._sort(part, plan.segment)
        return elements.element(plan) if plan.says_something else None

    def _item_checks(self, part: Part, general: Part | None) -> list[ItemCheck]:
        """What each item must be. Of a slice, what is not asked of every item (``general``) already."""
        with_types = self._types(part, general)
        checks = [*with_types, *self._values(part, general), *self._bindings(part, general)]
        plain = part.beneath.get("value")
        if plain is not None and plain.origin is None:
            checks += [elements.valued(plain.path, self._profile)] if plain.least else []
            checks += self._values(plain, None)
        checks += self._invariants(part, general)
        content = self._content(part)
        if content is not None:
            inside = elements.within(content, frozenset(part.types) if part.name.endswith("[x]") else None)
            is_resource = part.origin is not None and part.origin.types[0].code == "Resource"
            checks.append(elements.in_resource(inside) if is_resource else inside)
        return checks

    def _content(self, part: Part) -> ObjectCheck | None:
        beneath = part.beneath
        if not beneath:
            return None
        key = id(beneath)
        if key not in self._contents:
            filled: list[ObjectCheck] = []
            self._contents[key] = elements.together(filled)
            holder = part.same_as or part
            asked = [
                one for one in beneath.values() if one.origin is not None
            ]  # a primitive's value is the item itself
            filled += [made for one in asked if (made := self._element(holder, one)) is not None]
            if not filled:
                self._contents[key] = None
        return self._contents[key]

    def _types(self, part: Part, general: Part | None) -> Iterator[ItemCheck]:
        origin = part.origin
        if origin is None or "." in part.types[0]:
            return
        had = tuple(use.code for use in origin.types)
        if set(part.types) != set(had) and (general is None or part.types != general.types):
            yield elements.typed(part.types, part.path, self._profile, self._library.reading)
        if general is not None and part.definition.get("type") == general.definition.get("type"):
            return
        profiles = {code: self._checks(part, code, use) for code, use in part.uses()}
        if any(profiles.values()):
            yield elements.profiled(profiles, part.path, self._profile)
        yield from self._targets(part)

    def _checks(self, part: Part, code: str, use: JsonObject) -> tuple[ProfileCheck, ...]:
        """The profiles of a type, one of which is to be satisfied; none where one says what the tables ask already."""
        narrowed = {one.code: one.profile for one in part.origin.types} if part.origin is not None else {}
        urls = texts(use.get("profile"))
        had = {_CORE + code, _CORE + (narrowed.get(code) or code)}
        if not had.isdisjoint(url.partition("|")[0] for url in urls):
            return ()
        if code == "Extension":
            urls = tuple(known for url in urls if (known := self._extension(url)) is not None)
        return tuple(
            self._library.check(plain if self._is_plain(plain := url.partition("|")[0]) else url) for url in urls
        )

    def _extension(self, url: str) -> str | None:
        """The definition of an extension, or another version of it that is known; nothing for one nobody here knows.

        Extensions are open, and guides name some of packages that are not installed: what those hold is not checked.
        """
        return next((one for one in (url, url.partition("|")[0]) if self._library.type_of(one)), None)

    def _targets(self, part: Part) -> Iterator[ItemCheck]:
        uses = [use for code, use in part.uses() if code == "Reference"]
        urls = list(dict.fromkeys(url for use in uses for url in texts(use.get("targetProfile"))))
        if urls and all(texts(use.get("targetProfile")) for use in uses):
            goals = [
                pointing.Goal(url, self._library.type_of(url), None if self._is_plain(url) else self._known(url))
                for url in urls
            ]
            had = {target for use in (part.origin.types if part.origin is not None else ()) for target in use.targets}
            if any(goal.check is not None or not goal.type for goal in goals) or {goal.type for goal in goals} != had:
                yield pointing.targets(goals, part.path, self._profile)
        modes = frozenset(mode for use in uses for mode in texts(use.get("aggregation")))
        if modes and all(use.get("aggregation") for use in uses):
            yield pointing.aggregated(modes, part.path, self._profile)

    def _known(self, url: str) -> ProfileCheck | None:
        return self._library.check(url) if self._library.type_of(url) else None

    def _is_plain(self, canonical: str) -> bool:
        """Whether it is a type as FHIR has it, not a profile of one."""
        known = self._library.definitions.get(canonical)
        if known is None:
            plain = canonical.partition("|")[0]
            return plain.startswith(_CORE) and self._library.reading.knows(plain.removeprefix(_CORE))
        return known.get("derivation") != "constraint"

    def _values(self, part: Part, general: Part | None) -> Iterator[ItemCheck]:
        path, profile = part.path, self._profile
        for prefix, make in values.CHECKS.items() if values.tells(part.definition) else ():
            told = values.of_definition(part.definition, prefix)
            if told is not None and (general is None or told != values.of_definition(general.definition, prefix)):
                yield make(told[1], path, profile)
        longest = part.definition.get("maxLength")
        if isinstance(longest, int) and (general is None or general.definition.get("maxLength") != longest):
            yield values.limited(longest, path, profile)

    def _bindings(self, part: Part, general: Part | None) -> Iterator[ItemCheck]:
        told = coded.binding_of(part.definition)
        if told is None or (general is not None and told == coded.binding_of(general.definition)):
            return
        strength, value_set, widest = told
        origin = part.origin
        is_own = not self._is_inherited(part, strength, value_set)
        if not is_own and strength != "required" and self._is_bound_otherwise(part):
            return
        is_checked = origin is not None and origin.binding is not None and origin.binding.codes is not None
        if is_own or (not is_checked and strength != "preferred"):
            codes, path = self._library.codes, part.path
            check = coded.bound(strength, value_set, codes, path, self._profile, is_own=is_own)
            if check is not None:
                yield check
        if widest:
            yield coded.bound_at_most(widest, self._library.codes, part.path, self._profile)

    def _is_bound_otherwise(self, part: Part) -> bool:
        """Whether the profile has its own value set for the same values: in slices, or for all items of what is sliced.

        The one of FHIR would be told instead of it, and of codes that the profile itself asks for.
        """
        others = (*part.slices, *([part.general] if part.general is not None else ()))
        return any(self._is_bound(one) for one in others)

    def _is_bound(self, part: Part) -> bool:
        """Whether the profile has a value set of its own here."""
        told = coded.binding_of(part.definition)
        return told is not None and not self._is_inherited(part, told[0], told[1])

    def _is_inherited(self, part: Part, strength: str, value_set: str) -> bool:
        """Whether the binding is the one that FHIR has here."""
        if part.origin is None:
            return False
        plain = value_set.partition("|")[0]
        if part.origin.binding is not None:
            return strength == "required" and part.origin.binding.value_set.partition("|")[0] == plain
        had = coded.binding_of(self._library.origin(part.origin.path))
        return had is not None and had[0] == strength and had[1].partition("|")[0] == plain

    def _invariants(self, part: Part, general: Part | None) -> list[ItemCheck]:
        expressions = self._library.expressions
        skipped = keys(general.definition) if general is not None else frozenset()
        skipped |= keys(self._library.origin(part.origin.path if part.origin is not None else part.path))
        made: list[ItemCheck] = []
        if keys(part.definition) <= skipped:
            return made
        for one in constraints(part.definition):
            if one.key in skipped or self._is_core(one):
                continue
            name = part.definition.get("id")
            if not one.expression:
                self.unchecked.append((name if isinstance(name, str) else part.path, one.key))
                continue
            try:
                holds = expressions.holds(one.expression, part.types)
            except NotUnderstood as why:
                message = told("expression-not-understood", key=one.key, why=why.told)
                raise self.refuse(part.path, message) from None
            made.append(invariant(one, holds, part.path, self._profile))
        return made

    def _is_core(self, constraint: Constraint) -> bool:
        """Whether the constraint is one of a type of FHIR, which structural validation checks."""
        name = constraint.source.removeprefix(_CORE)
        return name != constraint.source and self._library.reading.knows(name)

    def _sort(self, part: Part, segment: str) -> Sort | None:
        stated = part.definition.get("slicing")
        slicing = stated if isinstance(stated, dict) else {}
        rules = str(slicing.get("rules") or "open")
        if not part.slices and rules != "closed":
            return None
        if rules not in ("open", "closed", "openAtEnd"):
            raise self.refuse(part.path, told("no-rule-of-slicing", rules=rules))
        named = [one for one in part.slices if one.slice != DEFAULT]
        by = self._discriminators(part, slicing)
        made = tuple(
            self._slice(one, part, segment, self._belongs(one, named, by), self._telling.reasons(one, by))
            for one in named
        )
        rest = next((self._slice(one, part, segment, None) for one in part.slices if one.slice == DEFAULT), None)
        urls = [discriminators.url_of(one) for one in named]
        is_by_url = part.name in ("extension", "modifierExtension") and by == [_BY_URL] and all(urls)
        return sort(
            Slicing(
                element=part.path,
                segment=segment,
                profile=self._profile,
                rules=rules,
                ordered=slicing.get("ordered") is True,
                slices=made,
                default=rest,
                urls={url: place for place, url in reversed(list(enumerate(urls)))} if is_by_url else None,
            )
        )

    def _discriminators(self, part: Part, slicing: JsonObject) -> list[Discriminator]:
        found = discriminators.read(slicing, part.path, self.refuse)
        if found or not part.slices:
            return found
        if part.name in ("extension", "modifierExtension"):
            return [_BY_URL]
        if part.name.endswith("[x]") and not part.slice:
            return [_BY_TYPE]
        return []

    def _belongs(self, one: Part, named: list[Part], by: list[Discriminator]) -> Belongs:
        if by:
            return self._telling.belongs(one, by)
        if len(named) > 1:
            listed = ", ".join(other.slice for other in named)
            raise self.refuse(one.path, told("no-discriminator", names=listed))
        return elements.conforming(elements.each(self._item_checks(one, None)))

    def _slice(
        self, one: Part, part: Part, segment: str, belongs: Belongs | None, reasons: Reasons | None = None
    ) -> Slice:
        return Slice(
            name=one.slice,
            belongs=belongs,
            least=one.least,
            most=one.most if part.most is None or one.most is None or one.most < part.most else None,
            checks=tuple(self._item_checks(one, part)),
            within=self._sort(one, segment),
            reasons=reasons,
        )
