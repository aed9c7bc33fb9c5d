#include "config/open_store.hpp"

#include <errno.h>  // NOLINT(modernize-deprecated-headers): program_invocation_short_name

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "config/settings.hpp"
#include "config/store/etcd.hpp"
#include "config/store/kubernetes.hpp"
#include "config/store/memory.hpp"
#include "config/store/server.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"

namespace manul::config {

namespace {

/// Changed fields are recorded in the name of the program: "manulctl", "manul-felix".
std::string manager_name() { return program_invocation_short_name; }

store::EtcdOptions etcd_options(const EtcdSettings& etcd, std::string manager) {
    return {.endpoints = etcd.endpoints,
            .ca_file = etcd.ca_file,
            .cert_file = etcd.cert_file,
            .key_file = etcd.key_file,
            .username = etcd.username,
            .password = etcd.password,
            .password_file = etcd.password_file,
            .prefix = etcd.prefix,
            .manager = std::move(manager),
            .timeout = std::chrono::milliseconds(etcd.timeout_ms)};
}

Result<std::unique_ptr<store::Store>> open_with(const Settings& settings, const store::SqliteOptions& options) {
    switch (settings.datastore.type) {
        case DatastoreType::sqlite:
            return store::open_sqlite(settings.datastore.path, options);
        case DatastoreType::memory:
            return store::make_memory();
        case DatastoreType::kubernetes:
            return store::open_kubernetes({.kubeconfig = settings.datastore.kubeconfig,
                                           .context = settings.datastore.context,
                                           .manager = options.manager});
        case DatastoreType::etcd:
            return store::open_etcd(etcd_options(settings.datastore.etcd, options.manager));
        case DatastoreType::server:
            if (settings.datastore.kubeconfig.empty()) {
                return fail("datastore.kubernetes.kubeconfig: must name the file that says where `manulctl serve` is");
            }
            return store::open_server({.kubeconfig = settings.datastore.kubeconfig,
                                       .context = settings.datastore.context,
                                       .manager = options.manager});
    }
    return fail("datastore.type: unknown");
}

}  // namespace

Result<std::unique_ptr<store::Store>> open_store(const Settings& settings) {
    return open_with(settings, {.node = settings.node_name, .manager = manager_name()});
}

Result<std::unique_ptr<store::Store>> open_store_for_api(const Settings& settings) {
    return open_with(settings, {.node = settings.node_name});
}

Result<std::unique_ptr<store::Store>> open_store_patiently(const Settings& settings) {
    return open_with(settings, {.node = settings.node_name, .patient = true, .manager = manager_name()});
}

Result<std::unique_ptr<store::Store>> open_store_for_command(const Settings& settings) {
    return open_with(settings, {.check_on_open = false, .manager = manager_name()});
}

std::function<Result<void>()> make_compactor(const Settings& settings) {
    if (settings.datastore.type != DatastoreType::etcd) {
        return {};
    }
    return [compact = store::make_etcd_compactor(etcd_options(settings.datastore.etcd, {}))]() -> Result<void> {
        auto done = compact();
        return done ? Result<void>() : fail(std::move(done).error().message);
    };
}

}  // namespace manul::config
