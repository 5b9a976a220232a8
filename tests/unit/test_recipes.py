"""Recipes: what an operator may write, and what an error tells them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from stripwatch.domain.recipe import Role
from stripwatch.errors import NotFound, RecipeInvalid
from stripwatch.recipes import RecipeBook, default_folders, parse_recipe, recipe_schema

MINIMAL = 'name: plain\nversion: "1"\nmodels: {classifier: steel}\nhealthy: [healthy]\n'
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "recipe.schema.json"


def refusal(text: str) -> str:
    with pytest.raises(RecipeInvalid) as caught:
        parse_recipe(text)
    return str(caught.value)


@pytest.mark.parametrize("name", ["hot-rolled", "paper"])
def test_the_shipped_recipes_are_read_and_match_the_published_schema(name: str) -> None:
    recipe = RecipeBook(default_folders()).find(name)
    assert recipe.name == name
    jsonschema.validate(yaml.safe_load(recipe.text), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_every_defect_of_the_default_recipe_asks_at_least_for_a_review() -> None:
    recipe = RecipeBook(default_folders()).find("hot-rolled")
    rules = [*recipe.classes.values(), recipe.other, recipe.anomaly.rule]
    assert all(rule.review_per_m2 == 0 for rule in rules)


def test_the_published_schema_is_the_one_the_code_makes() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == recipe_schema()


def test_fractions_become_whole_units() -> None:
    recipe = parse_recipe(
        MINIMAL
        + "classes: {scratches: {confidence: 0.8321}}\nanomaly: {threshold: 1.5, min_tiles: 2}\nmin_coverage: 0.97"
    )
    assert (recipe.classes["scratches"].confidence, recipe.anomaly.threshold, recipe.min_coverage) == (
        8321,
        15000,
        9700,
    )


def test_what_is_left_out_has_a_default() -> None:
    recipe = parse_recipe(MINIMAL)
    assert recipe.required == {Role.CLASSIFIER}
    assert recipe.rule("anything").confidence == 5000
    assert recipe.cutting.tile_px == 200


def test_a_recipe_of_anomalies_alone_requires_them() -> None:
    recipe = parse_recipe('name: plain\nversion: "1"\nmodels: {anomaly: texture}')
    assert recipe.required == {Role.ANOMALY}


def test_the_hash_is_that_of_the_text() -> None:
    assert parse_recipe(MINIMAL).sha256 != parse_recipe(MINIMAL + "# a comment\n").sha256


def test_an_unknown_key_is_named_with_its_path_and_the_likely_one() -> None:
    message = refusal(MINIMAL + "classes: {scratches: {confidense: 0.8}}")
    assert "classes.scratches.confidense: unknown key (did you mean confidence?)" in message


def test_every_problem_is_in_one_message() -> None:
    message = refusal(
        "name: plain\nversion: 1\nmodels: {classifier: steel}\nmerge_gap: 1\nmin_coverage: 99\nexclusion: {edge_mm: -1}"
    )
    assert "version: expected text (in quotes), got 1" in message
    assert "merge_gap: unknown key (did you mean merge_gap_mm?)" in message
    assert "min_coverage: expected less than or equal to 1, got 99" in message
    assert "exclusion.edge_mm: expected greater than or equal to 0, got -1" in message


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("required: [anomaly]", "required: expected some of classifier"),
        ("classes: {healthy: {confidence: 0.5}}", "classes.healthy"),
        ("classes: {anomaly: {confidence: 0.5}}", "classes.anomaly"),
        ("classes: {unknown: {confidence: 0.5}}", "classes.unknown: the rule for defects of unknown kind is the key"),
        ("anomaly: {usual_below: 1.5}", "expected usual_below of at most threshold (1), got 1.5"),
        ("anomaly: {unknown_below: 1.5}", "anomaly.unknown_below: expected less than or equal to 1, got 1.5"),
        ("other: {review_per_m2: 2, reject_per_m2: 1}", "reject_per_m2: expected at least review_per_m2"),
        ("cutting: {tile_px: 100}", "stride_px: expected at most tile_px (100)"),
        ("other: {confidence: .nan}", "other.confidence: expected a finite number"),
        ("other: {confidence: '0.8'}", "other.confidence: expected a valid number, got '0.8'"),
        ("other: {confidence: true}", "other.confidence"),
        ("name: again", "key 'name' twice"),
        ("other: &rule {confidence: 0.5}", "anchors and aliases are not taken"),
        ("other: {<<: {confidence: 0.5}}", "merge keys (<<) are not taken"),
        ("other: !!python/object:os.system x", "tag"),
        ("classes: {scratches: {confidence: 0.5}, scratches: {confidence: 0.6}}", "key 'scratches' twice"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(extra: str, said: str) -> None:
    assert said in refusal(MINIMAL + extra)


@pytest.mark.parametrize("text", ["", "- 1", "name", "[" * 5000, "name: [", "x: " + "9" * 5000, "a" * 70_000, "\x00"])
def test_text_that_is_no_recipe_is_refused(text: str) -> None:
    assert "recipe" in refusal(text)


def test_an_unknown_recipe_is_not_found_and_the_known_ones_are_listed() -> None:
    with pytest.raises(NotFound, match=r"cold-rolled.*hot-rolled, paper"):
        RecipeBook(default_folders()).find("cold-rolled")


def test_the_first_folder_wins_and_the_file_is_named_in_errors(tmp_path: Path) -> None:
    (tmp_path / "paper.yaml").write_text(MINIMAL, encoding="utf-8")
    with pytest.raises(RecipeInvalid, match=r"paper\.yaml: name: expected 'paper'"):
        RecipeBook([tmp_path, *default_folders()]).find("paper")
