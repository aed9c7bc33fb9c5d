#include <memory>
#include <vector>

#include "config/store/memory.hpp"
#include "test/config/store_contract.hpp"

namespace manul::test {

std::vector<StoreFixture> store_fixtures() {
    const auto database = store::make_memory_database();
    const auto small = store::make_memory_database({.change_log_limit = 20});
    return {
        {"memory", [database] { return store::make_memory(database); }, [small] { return store::make_memory(small); }}};
}

}  // namespace manul::test
