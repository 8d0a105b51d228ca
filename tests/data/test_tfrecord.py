"""TFRecord: the checksum, the framing and the Example, against published values and the writers of others."""

import gzip

import field_files as files
import numpy as np
import pytest

from ergosum.data.files.tfrecord import crc32c, example, records


def test_the_checksum_is_that_of_the_standard():
    """RFC 3720, appendix B.4, and the check value of CRC-32/ISCSI."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@pytest.mark.parametrize("n", [63, 64, 65, 127, 128, 129, 191, 192, 193, 1000, 5000])
def test_long_contents_have_the_checksum_of_their_bits(n):
    content = np.random.default_rng(n).bytes(n)
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    assert crc32c(content) == state ^ 0xFFFFFFFF


@pytest.mark.parametrize("packed", [True, False])
def test_records_of_another_writer_are_read(tmp_path, packed):
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer")
    contents = [b"", b"a", np.random.default_rng(0).bytes(1000)]
    path = tmp_path / "a.tfrecords"
    with (gzip.open if packed else open)(path, "wb") as file:
        made = writer.RecordWriter(file)
        for content in contents:
            made.write(content)
        made.flush()
    assert list(records(path)) == contents


def message():
    """The class of tf.train.Example, made from its description by the library of protocol buffers."""
    factory = pytest.importorskip("google.protobuf.message_factory")
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")
    kinds = {"BytesList": 12, "FloatList": 2, "Int64List": 3}
    for name, kind in kinds.items():
        file.message_type.add(name=name).field.add(name="value", number=1, label=3, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(kinds, 1):
        feature.field.add(
            name=name.lower(), number=number, label=1, type=11, type_name=f".t.{name}", oneof_index=0
        )  # fmt: skip
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=1, type=9)
    entry.field.add(name="value", number=2, label=1, type=11, type_name=".t.Feature")
    features.field.add(name="feature", number=1, label=3, type=11, type_name=".t.Features.FeatureEntry")
    file.message_type.add(name="Example").field.add(
        name="features", number=1, label=1, type=11, type_name=".t.Features"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


def test_examples_of_the_library_of_protocol_buffers_are_read():
    made = message()()
    values = np.random.default_rng(0).standard_normal(300).astype(np.float32)
    made.features.feature["floats"].floatlist.value.extend(values.tolist())
    made.features.feature["integers"].int64list.value.extend([0, 1, -1, 2**40, -(2**62)])
    made.features.feature["bytes"].byteslist.value.extend([b"some", b"", b"x" * 200])
    made.features.feature["pixels"].byteslist.value.extend(bytes([k]) for k in range(256))
    made.features.feature["none"].SetInParent()
    told = example(made.SerializeToString())
    assert np.array_equal(told["floats"], values) and told["integers"].tolist() == [0, 1, -1, 2**40, -(2**62)]
    assert told["bytes"] == [b"some", b"", b"x" * 200] and told["pixels"] == bytes(range(256))
    assert len(told["none"]) == 0 and len(told) == 5


def test_own_examples_are_those_of_the_library():
    first = next(files.tetrominoes(1))
    made = message().FromString(files.encoded(first))
    assert b"".join(made.features.feature["image"].byteslist.value) == first["image"]
    assert np.allclose(made.features.feature["x"].floatlist.value, np.asarray(first["x"]))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x0a\x05ab", "ends beyond"),
        (b"\x0b", "unknown kind 3"),
        (b"\xff" * 11, "does not end"),
        (b"\x08\x01", "a number"),
    ],
)
def test_what_is_no_example_is_refused(content, told):
    with pytest.raises(ValueError, match=told):
        example(content)
