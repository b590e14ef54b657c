"""One record of a TFDS set (a `tf.train.Example`), read and written without importing TFDS."""

from __future__ import annotations

from functools import lru_cache

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
PACKAGE = "robustvit.records"  # not `tensorflow`, which TFDS may register in the same process


def parse_record(record: bytes) -> tuple[bytes, int, str]:
    """Return the encoded image, the label and the id of a record."""
    example = _example_class()()
    example.ParseFromString(record)
    feature = example.features.feature
    return (
        feature["image"].bytes_list.value[0],
        feature["label"].int64_list.value[0],
        feature["id"].bytes_list.value[0].decode(),
    )


def make_record(image: bytes, label: int, name: str) -> bytes:
    """Serialise an example of a set whose features are `image`, `label` and `id`.

    The same bytes as TFDS writes, but with the features always in the order of their names: TFDS
    leaves the order to a hash table, which differs from process to process.
    """
    example = _example_class()()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(image)
    feature["label"].int64_list.value.append(label)
    feature["id"].bytes_list.value.append(name.encode())
    return example.SerializeToString(deterministic=True)


@lru_cache(maxsize=1)
def _example_class() -> type:
    """Build the message class; the field numbers are those of tensorflow/core/example."""
    file = descriptor_pb2.FileDescriptorProto(
        name="robustvit/records.proto", package=PACKAGE, syntax="proto3"
    )
    _add_message(file, "BytesList", [("value", 1, FIELD.TYPE_BYTES, "")], repeated=True)
    _add_message(file, "Int64List", [("value", 1, FIELD.TYPE_INT64, "")], repeated=True)
    lists = [
        ("bytes_list", 1, FIELD.TYPE_MESSAGE, "BytesList"),
        ("int64_list", 3, FIELD.TYPE_MESSAGE, "Int64List"),
    ]
    _add_message(file, "Feature", lists)
    entry = [("key", 1, FIELD.TYPE_STRING, ""), ("value", 2, FIELD.TYPE_MESSAGE, "Feature")]
    features = file.message_type.add(name="Features")
    _add_fields(features.nested_type.add(name="FeatureEntry"), entry)
    features.nested_type[0].options.map_entry = True
    name = [("feature", 1, FIELD.TYPE_MESSAGE, "Features.FeatureEntry")]
    _add_fields(features, name, repeated=True)
    _add_message(file, "Example", [("features", 1, FIELD.TYPE_MESSAGE, "Features")])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Example"))


def _add_message(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: list, repeated: bool = False
) -> None:
    _add_fields(file.message_type.add(name=name), fields, repeated)


def _add_fields(
    message: descriptor_pb2.DescriptorProto, fields: list, repeated: bool = False
) -> None:
    label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
    for name, number, kind, type_name in fields:
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if type_name:
            field.type_name = f".{PACKAGE}.{type_name}"
