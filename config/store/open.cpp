#include "config/store/open.hpp"

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/settings.hpp"
#include "config/store/memory.hpp"
#include "config/store/object_store.hpp"
#include "config/store/sqlite/sqlite_backend.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace {

Result<std::unique_ptr<Store>> open_with(const config::Settings& settings, const SqliteOptions& options) {
    switch (settings.datastore.type) {
        case config::DatastoreType::sqlite:
            return open_sqlite(settings.datastore.path, options);
        case config::DatastoreType::memory:
            return make_memory();
        case config::DatastoreType::etcd:
        case config::DatastoreType::kubernetes:
        case config::DatastoreType::server:
            break;
    }
    return fail(fmt::format("datastore.type: this build has no {} datastore; use sqlite",
                            config::to_string(settings.datastore.type)));
}

}  // namespace

Result<std::unique_ptr<Store>> open(const config::Settings& settings) {
    return open_with(settings, {.node = settings.node_name});
}

Result<std::unique_ptr<Store>> open_for_command(const config::Settings& settings) {
    return open_with(settings, {.check_on_open = false});
}

std::unique_ptr<Store> open_sqlite(std::string path, SqliteOptions options) {
    return std::make_unique<ObjectStore>(std::make_unique<sqlite::SqliteBackend>(std::move(path), std::move(options)));
}

}  // namespace manul::store
