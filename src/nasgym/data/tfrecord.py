"""meta-dataset's TFRecord files (SPEC §5): features `image` (bytes of an image file) and `label` (int64)."""

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

from nasgym.core.errors import DataError
from nasgym.data.records import Record

_MASK_DELTA = 0xA282EAD8
_REMEDY = "Install it with `pip install nasgym[tfrecord]`."


def tfrecord_records(content: bytes, path: str) -> Iterator[Record]:
    """Hand over the images of a TFRecord file; the label is the integer as text.

    Raises:
        DataError: the file is cut off or damaged, has other features, or the extra `tfrecord` is not installed.
    """
    example = _example_type()
    from google.protobuf.message import DecodeError

    for index, message in enumerate(_frames(content, path)):
        where = f"{path}[{index}]"
        try:
            features = example.FromString(message).features.feature
        except DecodeError as error:
            raise DataError(f"{where}: not a tf.train.Example ({error}). Convert the data set again.") from error
        images, labels = features["image"].bytes_list.value, features["label"].int64_list.value
        if len(images) != 1 or len(labels) != 1:
            raise DataError(
                f"{where}: expected one `image` and one `label`, found features {', '.join(sorted(features))}."
            )
        yield Record(where, images[0], str(labels[0]), aligned_corners=True)


def tfrecord_bytes(image: bytes, label: int) -> bytes:
    """Return one framed record with these features.

    Raises:
        DataError: the extra `tfrecord` is not installed.
    """
    example = _example_type()()
    example.features.feature["image"].bytes_list.value.append(image)
    example.features.feature["label"].int64_list.value.append(label)
    message = example.SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(message))
    return b"".join((length, struct.pack("<I", _masked_crc(length)), message, struct.pack("<I", _masked_crc(message))))


def _frames(content: bytes, path: str) -> Iterator[bytes]:
    """Hand over the messages: length (uint64), its masked CRC-32C, message, its masked CRC-32C; little-endian."""
    place = 0
    while place < len(content):
        header = content[place : place + 12]
        length = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else None
        end = place + 16 + (length or 0)
        if length is None or end > len(content):
            raise DataError(f"{path}: cut off at byte {place}. Copy or convert it again.")
        message = content[place + 12 : end - 4]
        sums = struct.pack("<II", _masked_crc(header[:8]), _masked_crc(message))
        if sums != header[8:] + content[end - 4 : end]:
            raise DataError(f"{path}: damaged at byte {place} (checksum). Copy or convert it again.")
        yield message
        place = end


def _masked_crc(data: bytes) -> int:
    try:
        import google_crc32c
    except ImportError as error:
        raise DataError(f"TFRecord files need the package google-crc32c. {_REMEDY}") from error
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


@cache
def _example_type() -> Any:
    """Return the class of `tf.train.Example`, built from the part of its schema that is used here."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise DataError(f"TFRecord files need the package protobuf. {_REMEDY}") from error
    field = descriptor_pb2.FieldDescriptorProto
    repeated, single = field.LABEL_REPEATED, field.LABEL_OPTIONAL
    file = descriptor_pb2.FileDescriptorProto(name="nasgym/example.proto", package="nasgym.tf", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, int, int, str]) -> Any:
        added = file.message_type.add(name=name)
        for field_name, number, label, kind, type_name in fields:
            added.field.add(name=field_name, number=number, label=label, type=kind, type_name=type_name or None)
        return added

    message("BytesList", ("value", 1, repeated, field.TYPE_BYTES, ""))
    message("FloatList", ("value", 1, repeated, field.TYPE_FLOAT, ""))
    message("Int64List", ("value", 1, repeated, field.TYPE_INT64, ""))
    feature = message(
        "Feature",
        ("bytes_list", 1, single, field.TYPE_MESSAGE, ".nasgym.tf.BytesList"),
        ("float_list", 2, single, field.TYPE_MESSAGE, ".nasgym.tf.FloatList"),
        ("int64_list", 3, single, field.TYPE_MESSAGE, ".nasgym.tf.Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for part in feature.field:
        part.oneof_index = 0
    features = message("Features", ("feature", 1, repeated, field.TYPE_MESSAGE, ".nasgym.tf.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=single, type=field.TYPE_STRING)
    entry.field.add(name="value", number=2, label=single, type=field.TYPE_MESSAGE, type_name=".nasgym.tf.Feature")
    message("Example", ("features", 1, single, field.TYPE_MESSAGE, ".nasgym.tf.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasgym.tf.Example"))
