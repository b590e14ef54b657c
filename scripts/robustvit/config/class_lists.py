"""Names of classes in the configuration, checked before the data set that has them is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from robustvit.core.errors import UserError, nearest
from robustvit.data.cifar10_classes import CIFAR10_CLASSES
from robustvit.data.cifar100_classes import CIFAR100_CLASSES
from robustvit.data.imagenet_labels import all_synsets, choose_synsets
from robustvit.data.package_files import package_file
from robustvit.reporting.class_names import SYNSET, place_of, readable
from robustvit.reporting.formatting import sentence_list

SPECIES = 102


def check_class_names(config: Mapping, where: str, names: Iterable[str], dataset: str) -> None:
    """Refuse names that are no classes of a data set, as far as its classes are known by now.

    Args:
        config: resolved configuration.
        where: the key that has the names, for instance "semantics.table9.show".
        names: as the manifest spells them, or first English words of synsets.
        dataset: its name.

    Raises:
        UserError: naming the key, with the nearest class and an example.
    """
    classes = known_classes(config, dataset)
    unknown = [name for name in names if classes and place_of(name, classes) is None]
    if not unknown:
        return
    words = [readable(own) for own in classes]
    listed = not any(SYNSET.fullmatch(word) for word in words)  # no word list is installed
    for name in unknown:
        if listed or SYNSET.fullmatch(name):
            raise _unknown(where, name, dataset, dict(zip(classes, words, strict=True)))


def _unknown(where: str, name: str, dataset: str, words: Mapping[str, str]) -> UserError:
    wanted = name.casefold().replace("_", " ")
    same = [own for own, word in words.items() if word.casefold() == wanted]
    key, first = where.rpartition(".")[2], next(iter(words.items()))
    if same:
        return UserError(
            f'{where}: "{name}" is the word of {len(same)} classes of the data set {dataset}: '
            f"{sentence_list(same)}. Example: {key}: [{same[0]}]"
        )
    expected = "a class as its manifest spells it"
    expected += ", or a synset's first English word" * (first[0] != first[1])
    known = [*words] if SYNSET.fullmatch(name) else [*words.values(), *words]
    return UserError(
        f'{where}: unknown class "{name}" of the data set {dataset}.{nearest(name, known)} '
        f"Expected {expected}. Example: {key}: [{', '.join(dict.fromkeys(first))}]"
    )


def known_classes(config: Mapping, dataset: str) -> Sequence[str] | None:
    """Names of a data set's classes as its manifest will spell them.

    Returns:
        The names; None where only the archive or a builder of a user's own can tell, or where the
        package that lists them is not installed (it is not where jobs are only submitted).

    Raises:
        UserError: if the data set's option `classes` names classes that there are not.
    """
    entry = config["datasets"][dataset]
    find = LISTS.get(entry["builder"])
    try:
        return find(entry.get("options", {}).get("classes")) if find else None
    except UserError as error:
        raise UserError(f"datasets.{dataset}.{error}") from error


def _imagenet(classes: str | list[str] | None) -> Sequence[str] | None:
    try:
        all_synsets()
    except UserError:
        return None
    return (
        choose_synsets(classes or "imagenet1k") if isinstance(classes or "", str | list) else None
    )


def _caltech101(classes: str | list[str] | None) -> Sequence[str] | None:
    if isinstance(classes, list):
        return sorted(str(name).lower() for name in classes)
    if classes != "official":
        return None
    try:
        labels = package_file("tensorflow_datasets", "image_classification/caltech101_labels.txt")
    except UserError:
        return None
    return labels.read_text(encoding="utf-8").split()


def _flowers(classes: str | list[int] | None) -> Sequence[str] | None:
    numbers = range(1, SPECIES + 1) if classes == "official" else classes
    return None if numbers in (None, "present") else [f"species {number}" for number in numbers]


def _folders(classes: list[str] | None) -> Sequence[str] | None:
    return classes


# By builder; each takes the builder's option `classes`.
LISTS: dict[str, Callable[..., Sequence[str] | None]] = {
    "imagenet_classes": _imagenet,
    "imagenet_files": _imagenet,
    "cifar10": lambda classes: CIFAR10_CLASSES,
    "cifar_ddpm": lambda classes: CIFAR10_CLASSES,
    "cifar100": lambda classes: CIFAR100_CLASSES,
    "caltech101": _caltech101,
    "oxford_flowers102": _flowers,
    "image_folder": _folders,
}
