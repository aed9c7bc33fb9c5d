#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "config/address_detection.hpp"

/// What a process needs before it can read resources: its node, its datastore, directories, listening ports. Everything
/// else is a resource. Precedence: MANUL_<PATH> of the environment, the file, calicoctl's own environment names, the
/// default; command-line flags are applied by the programs on top.
namespace manul::config {

enum class DatastoreType : std::uint8_t { sqlite, etcd, kubernetes, server, memory };

/// As datastore.type names them, in the order of DatastoreType.
inline constexpr std::array<std::string_view, 5> kDatastoreTypes{"sqlite", "etcd", "kubernetes", "server", "memory"};

[[nodiscard]] constexpr std::string_view to_string(DatastoreType type) noexcept {
    return kDatastoreTypes[static_cast<std::size_t>(type)];
}

struct EtcdSettings {
    std::vector<std::string> endpoints;
    std::string ca_file;
    std::string cert_file;
    std::string key_file;
    std::string username;
    std::string password;
    std::string password_file;  ///< wins over the password
    std::string prefix = "/manul/v1";
    std::int64_t timeout_ms = 5000;
};

struct DatastoreSettings {
    DatastoreType type = DatastoreType::sqlite;
    std::string path = "/var/lib/manul/store.db";
    EtcdSettings etcd;
    std::string kubeconfig;  ///< empty: in cluster
    std::string context;
};

/// Ports are 0 when the listener is off.
struct ListenerSettings {
    std::uint16_t bgpd_metrics_port = 0;
    std::uint16_t bgpd_health_port = 0;
    std::uint16_t ipamd_metrics_port = 0;
    std::uint16_t ipamd_health_port = 0;
    std::string metrics_host = "127.0.0.1";
};

struct ServeSettings {
    std::string listen = "127.0.0.1:6443";
    std::string tls_cert_file;
    std::string tls_key_file;
    std::string client_ca_file;
    std::string tokens_file;
};

struct Settings {
    std::string node_name;  ///< equals metadata.name of the Node; the host name in lower case when not set
    AddressDetection detection_v4;
    AddressDetection detection_v6;
    DatastoreSettings datastore;
    std::string run_dir = "/run/manul";  ///< at most 60 bytes: socket paths below it end at 108
    std::string state_dir = "/var/lib/manul";
    std::string log_dir = "/var/log/manul";
    log::Level log_level = log::Level::info;
    log::Format log_format = log::Format::text;
    bool bgpd_kernel = true;  ///< false: a pure route reflector
    ListenerSettings listeners;
    bool felix_names = false;
    ServeSettings serve;
};

inline constexpr std::string_view kDefaultSettingsFile = "/etc/manul/manul.yaml";
inline constexpr std::size_t kMaxRunDirBytes = 60;

/// Looks up one environment variable; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// Settings out of the text of a file (may be empty). Every error is reported, one a line, as `file:line: path: reason`
/// or `NAME: reason` for a variable. `host_name` becomes the node name, in lower case, when nothing else gives one.
[[nodiscard]] Result<Settings> parse_settings(std::string_view text, const std::string& file_name,
                                              const Environment& environment, const std::string& host_name);

/// Reads `path` (of --config), else $MANUL_CONFIG, else /etc/manul/manul.yaml, which alone may be missing.
[[nodiscard]] Result<Settings> load_settings(const std::optional<std::string>& path);

}  // namespace manul::config
