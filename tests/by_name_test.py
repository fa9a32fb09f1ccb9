"""Modules found by the names that configs give: what is there, and what must never become an import."""

import pytest

from neurojax import by_name, heads, schemes
from neurojax.errors import InputError
from neurojax.models import interface as models
from neurojax.models import ndt
from neurojax.objectives import interface as objectives
from neurojax.objectives import mtm


def test_a_module_is_found_by_its_file_name():
    assert models.named("ndt") is ndt and objectives.named("mtm") is mtm
    assert by_name.module_named("data.sources", "spikes", ("open_source",)).__name__.endswith("sources.spikes")


@pytest.mark.parametrize(
    ("named", "package", "there"),
    [(models.named, "models", ("ndt", "ndt_linear")), (objectives.named, "objectives", ("elbo", "mtm"))],
)
def test_an_unknown_name_lists_what_there_is_and_nothing_else_of_the_room(named, package, there):
    with pytest.raises(InputError) as caught:
        named("ndt3")
    opening, _, choices = str(caught.value).partition("; choose from ")
    assert opening == f"{package} has no 'ndt3'"
    choices = choices.split(", ")
    assert set(there) <= set(choices) and choices == sorted(choices)
    assert not {"interface", "config", "attention", "stitcher"} & set(choices)  # helpers are no models


@pytest.mark.parametrize(
    "name",
    [
        *("interface", "stitcher"),  # files of the package that are no model
        *("ndt.Config", "..objectives.mtm", "models.ndt", ".ndt", "ndt/", "../ndt", "/ndt"),
        *("os", "__init__", "Ndt", "ndt ", "ndt\n", "", None, 3, ["ndt"]),
    ],
)
def test_a_name_that_is_no_file_of_the_room_is_refused(name):
    with pytest.raises(InputError, match="models has no .*; choose from .*ndt, .*ndt_linear"):
        models.named(name)


@pytest.mark.parametrize("name", ["ndt.Config", "a/b", "../errors", "os.path", ""])
def test_a_name_with_a_dot_or_a_slash_is_never_imported(name, monkeypatch):
    asked = []
    monkeypatch.setattr(by_name, "_import", lambda package, part: asked.append(part))
    monkeypatch.setattr(by_name, "names", lambda package, needs: [])
    with pytest.raises(InputError):
        by_name.module_named("models", name, ())
    assert asked == []


def test_a_module_that_cannot_be_imported_says_why_itself(monkeypatch):
    """A package that is missing inside a model's file is not mistaken for a model that is missing."""

    real = by_name.importlib.import_module

    def import_module(full):
        if full == "neurojax.models.ndt":
            raise ModuleNotFoundError("No module named 'absent'", name="absent")
        return real(full)

    monkeypatch.setattr(by_name.importlib, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="absent"):
        by_name.module_named("models", "ndt", ())


def test_heads_and_schemes_are_chosen_by_name():
    with pytest.raises(InputError, match="head.name='poison'; choose from poisson, categorical, pulses, gaussian"):
        heads.named("poison")
    assert [schemes.scheme_id(name) for name in schemes.SCHEMES] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="unknown masking scheme 'spatial'; choose from neuron, causal"):
        schemes.scheme_id("spatial")
