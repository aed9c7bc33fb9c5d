#include "test/config/sqlite_fixtures.hpp"

#include <memory>
#include <vector>

#include "config/store/memory.hpp"
#include "config/store/memory_backend.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/sqlite/sqlite_backend.hpp"
#ifdef MANUL_WITH_ETCD
#include "test/config/etcd_fixture.hpp"
#endif
#include "test/config/store_contract.hpp"

namespace manul::test {

std::vector<StoreFixture> store_fixtures() {
    const auto database = store::make_memory_database();
    const auto small = store::make_memory_database({.change_log_limit = 20});
    const auto directory = std::make_shared<ScratchDirectory>();
    const store::SqliteOptions small_log{.change_log_limit = 20, .change_log_trim = 5};
    std::vector<StoreFixture> fixtures{
        {
            .name = "memory",
            .open = [database] { return store::make_memory(database); },
            .open_small_log = [small] { return store::make_memory(small); },
            .backend = [] { return std::make_unique<store::MemoryBackend>(store::make_memory_database()); },
        },
        {
            .name = "sqlite",
            .open = [directory] { return store::open_sqlite(directory->database()); },
            .open_small_log =
                [directory, small_log] { return store::open_sqlite(directory->path() + "/small/store.db", small_log); },
            .backend =
                [directory] {
                    return std::make_unique<store::sqlite::SqliteBackend>(directory->path() + "/bare.db",
                                                                          store::SqliteOptions{});
                },
        },
    };
#ifdef MANUL_WITH_ETCD
    fixtures.push_back(etcd_fixture());
#endif
    return fixtures;
}

}  // namespace manul::test
