"""Makes the snapshot of a profile: what its differential tells, over the snapshot of its base.

https://hl7.org/fhir/R4/profiling.html#snapshot

An element that is told constrains the one of the base. What lies below a data type is unfolded from the type, or from
the profile that the element names for it, when something below is told. A new slice begins as the element of the base
that it slices, and what the profile tells of all slices is told by that element: a reader asks both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.constraining import (
    BY_TYPE,
    STRUCTURE_DEFINITION,
    Contradiction,
    constrained,
    constraints,
    number,
    slicing,
)
from fhir_server.definitions.differentials import Told, objects, shortcuts_apart, texts, told
from fhir_server.definitions.messages import told as message
from fhir_server.definitions.snapshot_tree import Node
from fhir_server.fhir.json import Json, JsonObject

MAX_ELEMENTS = 20_000
"""Most elements of a snapshot. The largest of R4 has 370; slices of slices over a chain of profiles multiply."""

EXTENSIONS = ("extension", "modifierExtension")
BY_URL: JsonObject = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "open"}
BY_SHORTCUT: JsonObject = {**BY_TYPE, "rules": "closed"}


class Known(Protocol):
    """The definitions a snapshot is made from."""

    def tree(self, canonical: str) -> Node | None:
        """The snapshot of a definition, not to be changed; nothing where it is not known."""

    def whole(self, canonical: str) -> JsonObject | None:
        """The first element of that snapshot; nothing where it is not known, or is just being made."""

    def chain(self, canonical: str) -> list[str]:
        """The URLs of a definition and of what it derives from, nearest first; empty where it is not known."""


def grown(canonical: str, profile: JsonObject, known: Known) -> Node:
    """The tree of the snapshot of a profile (a StructureDefinition of derivation constraint, with a differential)."""
    url, base_url, type = (str(profile.get(name) or "") for name in ("url", "baseDefinition", "type"))
    base = known.tree(base_url)
    if base is None:
        raise BadProfile(canonical, "", message("base-unknown", base=base_url or message("none")))
    if base.name != type:
        of = type or message("none")
        raise BadProfile(canonical, "", message("base-of-another-type", type=of, base=base_url, found=base.name))
    differential = profile.get("differential")
    listed = differential.get("element", []) if isinstance(differential, dict) else None
    elements = objects(listed)
    if not isinstance(listed, list) or len(elements) != len(listed):
        raise BadProfile(canonical, "", message("no-array"))
    told_of = told(canonical, type, elements)
    growing = _Growing(canonical, url, known, base, base.copy(), elements=base.size())
    growing.constrain(growing.root, told_of, is_root=True)
    return growing.root


@dataclass(slots=True)
class _Growing:
    """The making of one snapshot."""

    profile: str
    """Its URL and version, for what is wrong with it."""
    source: str
    """Its URL, of which its constraints are."""
    known: Known
    base: Node
    root: Node
    last: int = -1
    """Position of the element that was met last: they must be told in the order of the snapshot."""
    elements: int = 0
    """How many elements it has, those of the base included."""

    def constrain(self, node: Node, told_of: Told, *, is_root: bool = False) -> None:
        """Apply what is told of an element, of its children and of its slices."""
        if "contentReference" in node.element and told_of.element and "type" in told_of.element:
            self._follow(node, told_of)
        before = node.copy() if told_of.slices else node
        if told_of.element is not None:
            self._in_order(told_of)
            node.element = self._element(node.element, told_of, is_root=is_root)
        if told_of.children:
            self._unfold(node, told_of)
            self._shortcuts(node, told_of)
            self._children(node, told_of)
        if told_of.slices:
            self._slices(node, before, told_of)

    def _element(self, base: JsonObject, told_of: Told, *, is_root: bool = False) -> JsonObject:
        element = told_of.element or {}
        try:
            base = self._of_profiled_type(base, element)
            return constrained(base, element, self.source, self.known.chain, root=is_root)
        except Contradiction as wrong:
            raise BadProfile(self.profile, told_of.id, wrong.told) from None

    def _of_profiled_type(self, base: JsonObject, told_of: JsonObject) -> JsonObject:
        """The element of the base with what the profile of its data type asks of the whole, and its words.

        A profile that is not known here asks nothing: who validates says that he cannot check it. Neither does the one
        that is being made (an extension within itself): the element names it, and who validates goes on with it.
        """
        uses = objects(told_of.get("type"))
        profiles = texts(uses[0].get("profile")) if len(uses) == 1 else []
        if len(profiles) != 1 or STRUCTURE_DEFINITION + "Resource" in self.known.chain(profiles[0]):
            return base
        whole = self.known.whole(profiles[0])
        if whole is None:
            return base
        asked = constraints(objects(whole.get("constraint")), objects(base.get("constraint")), self.source)
        return {
            **base,
            **{name: whole[name] for name in ("short", "isModifier", "isModifierReason") if name in whole},
            **({"condition": whole["condition"]} if "condition" in whole else {}),
            "constraint": asked,
        }

    def _children(self, node: Node, told_of: Told) -> None:
        places = {child.name: place for place, child in enumerate(node.children)}
        for name, child in told_of.children.items():
            if name not in places:
                raise BadProfile(self.profile, child.id, message("no-such-element", name=name))
        for child in sorted(told_of.children.values(), key=lambda one: places[one.name]):
            self.constrain(node.children[places[child.name]], child)

    def _in_order(self, told_of: Told) -> None:
        if told_of.position < self.last:
            raise BadProfile(self.profile, told_of.id, message("earlier-in-base"))
        self.last = told_of.position

    def _shortcuts(self, node: Node, told_of: Told) -> None:
        """Turn ``valueQuantity`` into the slice of that name of ``value[x]``."""
        for choice in node.children:
            if not choice.name.endswith("[x]"):
                continue
            codes = [str(use.get("code")) for use in objects(choice.element.get("type"))]
            apart = shortcuts_apart(choice.name, codes, told_of)
            if not apart:
                continue
            if len(apart) == 1 and ":" in told_of.id and choice.name not in told_of.children and not choice.slices:
                self._shortcut_within_a_slice(choice, told_of, *apart[0])
                continue
            whole = told_of.children.setdefault(choice.name, Told(choice.name, f"{told_of.id}.{choice.name}"))
            for child, code in apart:
                del told_of.children[child.name]
                if child.name in whole.slices:
                    raise BadProfile(self.profile, child.id, message("told-twice"))
                child.shortcut = code
                whole.slices[child.name] = child

    def _shortcut_within_a_slice(self, choice: Node, told_of: Told, told_short: Told, code: str) -> None:
        """Let ``valueQuantity`` constrain the choice itself, as the published snapshots do within a slice (bp)."""
        del told_of.children[told_short.name]
        told_of.children[choice.name] = told_short
        told_short.name = choice.name
        uses: list[Json] = [use for use in objects(choice.element.get("type")) if use.get("code") == code]
        choice.element = {**choice.element, "type": uses}

    def _unfold(self, node: Node, told_of: Told) -> None:
        """Give an element the children of its type, if it has none yet."""
        if node.children:
            return
        if "contentReference" in node.element:
            self._follow(node, told_of)
            return
        uses = objects(node.element.get("type"))
        of_type = self._type_below(uses, told_of)
        self._count(of_type.size(), told_of)
        node.children = [child.copy() for child in of_type.children]

    def _type_below(self, uses: list[JsonObject], told_of: Told) -> Node:
        """The tree that an element of these types is unfolded from."""
        codes = {str(use.get("code")) for use in uses}
        profiles = {profile for use in uses for profile in texts(use.get("profile"))}
        if len(codes) == 1 and len(profiles) == 1:
            canonical = profiles.pop()
            lacking = message("type-profile-unknown", url=canonical)
        elif len(codes) == 1:
            canonical = STRUCTURE_DEFINITION + codes.pop()
            lacking = message("type-unknown", url=canonical)
        else:
            # Whatever the type, an element has an id and extensions.
            canonical, lacking = STRUCTURE_DEFINITION + "Element", message("element-unknown")
        found = self.known.tree(canonical)
        if found is None:
            raise BadProfile(self.profile, told_of.id, lacking)
        return found

    def _follow(self, node: Node, told_of: Told) -> None:
        """Give an element the type and the children of the one it refers to, as the base has them."""
        reference = str(node.element["contentReference"]).rpartition("#")[2]
        (type, *steps) = reference.split(".")
        # What is unfolded from another resource (in a Bundle) refers to elements of that one.
        found = self.base if type == self.base.name else self.known.tree(STRUCTURE_DEFINITION + type)
        for step in steps:
            found = found.child(step) if found else None
        if found is None:
            raise BadProfile(self.profile, told_of.id, message("no-content", reference=reference))
        self._count(found.size(), told_of)
        kept = {name: value for name, value in node.element.items() if name != "contentReference"}
        node.element = {**kept, "type": found.element["type"]}
        node.children = [child.copy() for child in found.children]

    def _slices(self, node: Node, before: Node, told_of: Told) -> None:
        """Apply what is told of each slice; a slice that is new begins as the element of the base."""
        self._sliced(node, told_of)
        by_name = {slice.slice_name: slice for slice in node.all_slices()}
        for name, slice_told in told_of.slices.items():
            if name not in by_name:
                by_name[name] = self._new_slice(node, before, by_name, slice_told)
            self.constrain(by_name[name], slice_told)
        for sliced in (node, *by_name.values()):
            self._within(sliced, told_of)

    def _new_slice(self, node: Node, before: Node, known: dict[str, Node], told_of: Told) -> Node:
        whole = told_of.name.rpartition("/")[0]
        if not whole:
            around, origin = node, before
            if _rules(before.element) == "closed":
                raise BadProfile(self.profile, told_of.id, message("closed-slicing"))
        elif whole in known:
            # Its own slices are told apart by the slicing it tells, or else by that of the element it is a slice of.
            around = origin = known[whole]
        else:
            raise BadProfile(self.profile, told_of.id, message("no-slice-to-slice", name=whole))
        element = {**{name: value for name, value in origin.element.items() if name != "slicing"}, "min": 0}
        slice = Node(origin.name, element, told_of.name, [child.copy() for child in origin.children])
        self._count(slice.size(), told_of)
        if not whole:
            _take_types(slice, node)
        self._type_of_slice(slice, told_of)
        around.slices.append(slice)
        return slice

    def _type_of_slice(self, slice: Node, told_of: Told) -> None:
        """Of a choice, the name of a slice tells its type (``valueQuantity``) where nothing else does."""
        if not slice.name.endswith("[x]") or (told_of.element and "type" in told_of.element):
            return
        stem = slice.name.removesuffix("[x]")
        uses = objects(slice.element.get("type"))
        of_name: list[Json] = [
            use for use in uses if slice.slice_name == stem + str(use["code"])[:1].upper() + str(use["code"])[1:]
        ]
        if of_name:
            slice.element["type"] = of_name

    def _sliced(self, node: Node, told_of: Told) -> None:
        """See that the element says how it is sliced; extensions and types of a choice are sliced in one way only."""
        shortcuts = [one.shortcut for one in told_of.slices.values() if one.shortcut]
        if shortcuts and "slicing" not in node.element:
            uses = objects(node.element.get("type"))
            narrowed: list[Json] = [use for use in uses if use.get("code") in shortcuts]
            node.element = {**node.element, "slicing": BY_SHORTCUT, "type": narrowed}
        if "slicing" in node.element or all("/" in name for name in told_of.slices):
            return
        if node.name in EXTENSIONS:
            inferred = BY_URL
        elif node.name.endswith("[x]") and all(_names_a_type(node, one) for one in told_of.slices.values()):
            inferred = BY_TYPE
        else:
            raise BadProfile(self.profile, told_of.id, message("no-slicing"))
        node.element = {**node.element, "slicing": slicing(None, inferred)}

    def _within(self, node: Node, told_of: Told) -> None:
        """The slices together must not ask for more than the element may have."""
        least = sum(value for slice in node.slices if isinstance(value := slice.element.get("min"), int))
        most = str(node.element.get("max", "*"))
        if least > number(most):
            raise BadProfile(self.profile, told_of.id, message("slices-ask-for-more", least=least, most=most))

    def _count(self, more: int, told_of: Told) -> None:
        self.elements += more
        if self.elements > MAX_ELEMENTS:
            raise BadProfile(self.profile, told_of.id, message("too-many-elements-in-snapshot", most=MAX_ELEMENTS))


def _take_types(slice: Node, whole: Node) -> None:
    """Give a slice the types that the profile leaves to the element it is a slice of: what is below depends on them."""
    if whole.element.get("type") != slice.element.get("type") and "type" in whole.element:
        slice.element = {**slice.element, "type": whole.element["type"]}
    for child in slice.children:
        of_all = whole.child(child.name)
        if of_all is not None:
            _take_types(child, of_all)


def _rules(element: JsonObject) -> str:
    slicing = element.get("slicing")
    return str(slicing.get("rules", "")) if isinstance(slicing, dict) else ""


def _names_a_type(node: Node, slice: Told) -> bool:
    """Whether a slice of a choice says its type, by itself or by its name."""
    stem = node.name.removesuffix("[x]")
    names = {stem + str(use["code"])[:1].upper() + str(use["code"])[1:] for use in objects(node.element.get("type"))}
    return slice.name in names or bool(slice.element and slice.element.get("type"))
