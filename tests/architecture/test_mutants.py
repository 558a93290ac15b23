"""Every fault of `tools/mutants.toml` can still be planted; whether it is caught, `tools/mutate.py` tells at night."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutate", ROOT / "tools" / "mutate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate"] = module
    spec.loader.exec_module(module)
    return module


mutate = _load()
MUTANTS = mutate.load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_finds_its_place_and_its_tests(mutant) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    planted = mutate.mutated(text, mutant)
    assert planted != text
    if mutant.file.endswith(".py"):
        compile(planted, mutant.file, "exec")
    for selection in mutant.tests:
        file, _, name = selection.partition("::")
        name = name.rpartition("::")[2].partition("[")[0]
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_text_that_is_not_there_once_is_an_error() -> None:
    fault = mutate.Mutant("n", "f.py", "old", "new", ())
    for text in ("", "old old"):
        with pytest.raises(ValueError, match=r"times in f\.py, not once"):
            mutate.mutated(text, fault)
    with pytest.raises(ValueError, match="the new text is the old one"):
        mutate.mutated("old", mutate.Mutant("n", "f.py", "old", "old", ()))


def test_a_name_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    one = "[[mutants]]\nname = 'a'\nfile = 'f'\nold = 'o'\nnew = 'n'\ntests = []\n"
    file = tmp_path / "mutants.toml"
    file.write_text(one * 2)
    with pytest.raises(ValueError, match="named twice: a"):
        mutate.load(file)


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("def test_it():\n    import sound\n    assert sound.two() == 2", "caught"),
        ("def test_it():\n    import sound\n    assert sound.two()", "SURVIVED"),
        ("import nowhere_to_be_found", "ERROR"),
        ("", "ERROR"),
    ],
)
def test_a_fault_is_caught_only_by_a_test_that_ran_and_failed(tmp_path: Path, test: str, outcome: str) -> None:
    sound = "def two():\n    return 2\n"
    (tmp_path / "sound.py").write_text(sound)
    (tmp_path / "conftest.py").write_text(mutate.PROFILE)
    (tmp_path / "test_sound.py").write_text(test)
    fault = mutate.Mutant("n", "sound.py", "return 2", "return 3", ("test_sound.py",))
    assert mutate.plant(tmp_path, fault).outcome == outcome
    assert (tmp_path / "sound.py").read_text() == sound, "the fault is taken out again"
