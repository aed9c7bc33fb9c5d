#pragma once

#include <vector>

#include "test/config/store_contract.hpp"

namespace manul::test {

/// A real etcd server, one for the whole run of the program; each fixture has a prefix of its own in it.
[[nodiscard]] StoreFixture etcd_fixture();

}  // namespace manul::test
