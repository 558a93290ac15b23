"""Writes the table of `docs/consent/rules.md` from `fhir_server/consent/words.toml`.

Usage: ``python tools/consent_rules.py``. A test keeps the page and the words together.
"""

from __future__ import annotations

from pathlib import Path

from fhir_server.consent.verdict import Effect
from fhir_server.consent.words import Words, words

PAGE = Path(__file__).parents[1] / "docs" / "consent" / "rules.md"
HEAD = "| Rule | Rests on | Law | Says |\n| --- | --- | --- | --- |\n"
_TITLES = {Effect.PERMIT: "Grounds (PERMIT)", Effect.LIMIT: "Limits (LIMIT)", Effect.DENY: "Withdrawals (DENY)"}


def table(told: Words) -> str:
    """One table for each effect, a line for each rule."""
    parts = []
    for effect, title in _TITLES.items():
        lines = [
            f"| `{rule}` | {', '.join((*one.rests, *one.decided))} | {', '.join(one.law)} | {one.means} |\n"
            for rule, one in told.rules.items()
            if one.effect is effect
        ]
        parts.append(f"## {title}\n\n{HEAD}{''.join(lines)}")
    return "\n".join(parts)


def main() -> None:
    """Replace the tables of the page; what stands before them stays."""
    page = PAGE.read_text(encoding="utf-8")
    before = page[: page.index(f"## {_TITLES[Effect.PERMIT]}")]
    PAGE.write_text(before + table(words()), encoding="utf-8")


if __name__ == "__main__":
    main()
