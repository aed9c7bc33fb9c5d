#include "base/bytes.hpp"

#include <catch2/catch.hpp>

using manul::ByteReader;
using manul::Bytes;
using manul::ByteWriter;
using manul::ShortRead;

TEST_CASE("what is written in network byte order reads back") {
    Bytes out;
    ByteWriter writer(out);
    writer.u8(1);
    writer.u16(0x0203);
    writer.u32(0x04050607);
    writer.u64(0x08090a0b0c0d0e0f);
    writer.patch_u16(1, 0xfffe);
    ByteReader reader(out);
    CHECK(reader.u8() == 1);
    CHECK(reader.u16() == 0xfffe);
    CHECK(reader.u32() == 0x04050607);
    CHECK(reader.u64() == 0x08090a0b0c0d0e0f);
    CHECK(reader.empty());
}

TEST_CASE("a short read says where, and takes nothing") {
    const Bytes data{1, 2, 3, 4, 5};
    ByteReader reader(data);
    REQUIRE(reader.u16());
    auto sub = reader.sub(2);
    REQUIRE(sub);
    CHECK(sub->offset() == 2);
    CHECK(sub->u32().error() == ShortRead{2, 4, 2});
    CHECK(sub->left() == 2);
    CHECK(reader.u16().error() == ShortRead{4, 2, 1});
    CHECK(reader.bytes(1)->front() == 5);
}
