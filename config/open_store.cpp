#include "config/open_store.hpp"

#include <memory>

#include <fmt/format.h>

#include "base/error.hpp"
#include "config/settings.hpp"
#include "config/store/kubernetes.hpp"
#include "config/store/memory.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"

namespace manul::config {

namespace {

Result<std::unique_ptr<store::Store>> open_with(const Settings& settings, const store::SqliteOptions& options) {
    switch (settings.datastore.type) {
        case DatastoreType::sqlite:
            return store::open_sqlite(settings.datastore.path, options);
        case DatastoreType::memory:
            return store::make_memory();
        case DatastoreType::kubernetes:
            return store::open_kubernetes(
                {.kubeconfig = settings.datastore.kubeconfig, .context = settings.datastore.context});
        case DatastoreType::etcd:
        case DatastoreType::server:
            break;
    }
    return fail(fmt::format("datastore.type: this build has no {} datastore; use sqlite or kubernetes",
                            to_string(settings.datastore.type)));
}

}  // namespace

Result<std::unique_ptr<store::Store>> open_store(const Settings& settings) {
    return open_with(settings, {.node = settings.node_name});
}

Result<std::unique_ptr<store::Store>> open_store_patiently(const Settings& settings) {
    return open_with(settings, {.node = settings.node_name, .patient = true});
}

Result<std::unique_ptr<store::Store>> open_store_for_command(const Settings& settings) {
    return open_with(settings, {.check_on_open = false});
}

}  // namespace manul::config
