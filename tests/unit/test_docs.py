"""Pages that are made from code are current, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models").glob("*/*/*.md")])


KINDS = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}


sys.path.append(str(ROOT / "docs"))  # a generator of several modules finds its others


def generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["generate_settings", "generate_rules", "generate_figures", "generate_performance"])
def test_pages_made_from_settings_and_results_are_what_those_say(name: str) -> None:
    module = generator(name)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run make docs"


def test_the_plots_of_the_page_on_performance_show_what_the_results_say() -> None:
    module = generator("generate_performance")
    for name, file in module.PLOTS.items():
        if (results := module.Results()).find(file) is not None:
            with Image.open(module.PICTURES / f"{name}.png") as picture:
                assert picture.info["Source"] == results.fingerprint(file), f"{name}.png: run make docs"


def test_what_was_not_measured_yet_is_named_with_the_command_that_measures_it(tmp_path: Path) -> None:
    module = generator("generate_performance")
    page = module.page(module.Results(tmp_path))
    assert all(f"not measured yet: `{command}`" in page for command in module.COMMANDS.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """Named as `unit/test_x.py::test_y`, with or without `tests/`; `::test_z` is another of the same file."""
    file: Path | None = None
    for path, name in re.findall(
        r"`(?:tests/)?([a-z0-9]+/[a-z0-9_/]+\.py)?(?:::(\w+))?`", page.read_text(encoding="utf-8")
    ):
        if path.partition("/")[0] in KINDS:
            file = ROOT / "tests" / path
            assert file.is_file(), f"{page.name}: {path}"
        if name:
            assert file is not None, f"{page.name}: {name}"
            assert f"def {name}(" in file.read_text(encoding="utf-8"), f"{page.name}: {name}"


def test_every_setting_that_a_manifest_names_exists() -> None:
    known = set(re.findall(r"STRIPWATCH_[A-Z_]+", (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")))
    manifests = [ROOT / "docker-compose.yml", ROOT / "deploy" / "Dockerfile", *(ROOT / "k8s").rglob("*.yaml")]
    used = {name for path in manifests for name in re.findall(r"STRIPWATCH_[A-Z_]+", path.read_text(encoding="utf-8"))}
    assert {name for name in used if name not in known and name.removesuffix("_FILE") not in known} == set()
