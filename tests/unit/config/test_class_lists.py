"""Class names in the configuration: checked against what a data set's classes will be."""

import pytest

from robustvit.config import class_lists
from robustvit.config.class_lists import check_class_names, known_classes
from robustvit.config.resolve import resolve
from robustvit.core.errors import UserError
from robustvit.reporting import class_names


@pytest.fixture
def config(demo):
    return resolve(demo)


def listed(builder, classes=None):
    options = {} if classes is None else {"classes": classes}
    return known_classes({"datasets": {"own": {"builder": builder, "options": options}}}, "own")


def test_shipped_lists(config):
    for name, entry in config["datasets"].items():
        found = known_classes(config, name)
        assert len(set(found)) == len(found) == entry["num_classes"], name
    assert known_classes(config, "imagenet_rb5k")[0] == "n01440764"
    assert known_classes(config, "demo_caltech101") == ["background_google", "emu", "gerenuk"]
    assert known_classes(config, "demo_flowers") == ["species 1", "species 2", "species 3"]
    assert known_classes(config, "cifar100")[70] == "rose"  # sorted, as the official labels are
    assert list(known_classes(config, "cifar100")) == sorted(known_classes(config, "cifar100"))


def test_what_only_the_archive_can_tell_is_not_checked():
    assert listed("of_my_own") is None
    assert listed("image_folder") is None
    assert listed("caltech101") is None and listed("caltech101", "present") is None
    assert listed("oxford_flowers102") is None
    assert listed("image_folder", ["jay", "owl"]) == ["jay", "owl"]
    config = {"datasets": {"own": {"builder": "image_folder"}}}
    check_class_names(config, "semantics.mine.show", ["anything"], "own")


def test_classes_that_a_data_set_cannot_have_are_its_own_mistake():
    with pytest.raises(UserError, match=r"datasets\.own\.options\.classes: unknown synset"):
        listed("imagenet_classes", ["n00000001"])


def test_names_and_first_words_are_taken(config):
    names = ["n02980441", "castle", "Border collie", "n02106166"]
    check_class_names(config, "figures.mine.options.classes", names, "imagenet")


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        ("castel", "imagenet", ['Did you mean "castle"?', "first English word", "[n01440764, "]),
        ("n02980442", "imagenet", ['Did you mean "n02980441"?', "the data set imagenet"]),
        ("castle", "imagenet100", ['unknown class "castle" of the data set imagenet100']),
        ("crane", "imagenet", ["is the word of 2 classes", "n02012849 and n03126707"]),
        ("sweet_peper", "cifar100", ['"sweet_pepper"', "Example: show: [apple]"]),
        ("species 4", "demo_flowers", ['unknown class "species 4"', "Example: show: [species 1]"]),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(config, name, dataset, expected):
    with pytest.raises(UserError, match=r"^semantics\.mine\.show: ") as caught:
        check_class_names(config, "semantics.mine.show", [name], dataset)
    for text in expected:
        assert text in str(caught.value)


def test_without_the_packages_nothing_is_refused_that_may_be_right(config, monkeypatch):
    """Where jobs are only submitted, neither list is installed."""
    monkeypatch.setattr(class_names, "_lemmas", dict)
    check_class_names(config, "semantics.mine.show", ["castle"], "imagenet")
    with pytest.raises(UserError, match="n02980441"):
        check_class_names(config, "semantics.mine.show", ["n02980442"], "imagenet")

    def missing(*_):
        raise UserError("not installed")

    monkeypatch.setattr(class_lists, "all_synsets", missing)
    monkeypatch.setattr(class_lists, "package_file", missing)
    assert known_classes(config, "imagenet") is None
    assert listed("caltech101", "official") is None


@pytest.mark.parametrize(
    ("section", "entry", "key", "wrong"),
    [
        ("semantics", "demo_semantics", "show", ["frogg"]),
        ("gradients", "demo_gradients", "targets", ["n01644373", "n01644374"]),
    ],
)
def test_analyses_are_checked_when_the_configuration_is_read(demo, section, entry, key, wrong):
    demo[section][entry] = demo[section][entry] | {key: wrong}
    with pytest.raises(UserError, match=rf"{section}\.{entry}\.{key}: unknown class"):
        resolve(demo)
