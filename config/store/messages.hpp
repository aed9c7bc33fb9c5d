#pragma once

#include "base/log.hpp"

namespace manul::store {

inline constexpr log::Message kRowDamaged{
    "STORE_OBJECT_DAMAGED", log::Level::error, "{}",
    "The stored bytes changed on disk: check the disk, then delete the object and create it again from your files."};

}  // namespace manul::store
