#include <memory>
#include <vector>

#include "config/store/memory.hpp"
#include "config/store/memory_backend.hpp"
#include "test/config/store_contract.hpp"

namespace manul::test {

std::vector<StoreFixture> store_fixtures() {
    const auto database = store::make_memory_database();
    const auto small = store::make_memory_database({.change_log_limit = 20});
    return {{
        .name = "memory",
        .open = [database] { return store::make_memory(database); },
        .open_small_log = [small] { return store::make_memory(small); },
        .backend = [] { return std::make_unique<store::MemoryBackend>(store::make_memory_database()); },
    }};
}

}  // namespace manul::test
