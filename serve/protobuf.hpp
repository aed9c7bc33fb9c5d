#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"

/// Protocol buffers' wire format, as little of it as clients make necessary.
namespace manul::serve {

class ProtoWriter {
public:
    void text(std::uint32_t number, std::string_view value) {
        varint(number << 3U | 2U);
        varint(value.size());
        bytes_ += value;
    }
    void message(std::uint32_t number, const ProtoWriter& value) { text(number, value.bytes_); }
    [[nodiscard]] std::string bytes() && { return std::move(bytes_); }

private:
    void varint(std::uint64_t value) {
        while (value >= 0x80) {
            bytes_ += static_cast<char>(value | 0x80U);
            value >>= 7U;
        }
        bytes_ += static_cast<char>(value);
    }

    std::string bytes_;
};

inline constexpr std::string_view kProtobufMediaType = "application/vnd.kubernetes.protobuf";

/// The JSON document that a body of kProtobufMediaType means. Newer clients send some built-in kinds so; known are
/// Namespace, ServiceAccount, Secret, Service, roles and bindings, SelfSubjectAccessReview, SelfSubjectReview and
/// DeleteOptions.
[[nodiscard]] Result<std::string> document_of_protobuf(std::string_view body);

}  // namespace manul::serve
