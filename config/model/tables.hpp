#pragma once

#include <memory>

#include "config/model/field.hpp"
#include "config/model/resource.hpp"

/// The field tables of every kind.
namespace manul::model {

struct KindTable {
    /// Fields beside apiVersion, kind and metadata: spec, and status where it is read.
    const ObjectInfo* object = nullptr;
    std::shared_ptr<Resource> (*make)() = nullptr;
    std::shared_ptr<Resource> (*copy)(const Resource&) = nullptr;
    /// The struct as the table's accessors want it.
    void* (*self)(Resource&) = nullptr;
    const void* (*const_self)(const Resource&) = nullptr;
};

[[nodiscard]] const KindTable& table(Kind kind) noexcept;
[[nodiscard]] const ObjectInfo& metadata_table() noexcept;
/// FelixConfigurationSpec's, whose defaults and overrides are merged by field.
[[nodiscard]] const ObjectInfo& felix_table() noexcept;

}  // namespace manul::model
