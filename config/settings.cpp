#include "config/settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>  // NOLINT(misc-include-cleaner): stands for all of yaml-cpp

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/read_file.hpp"
#include "base/try.hpp"
#include "config/address_detection.hpp"
#include "config/model/duration.hpp"
#include "config/model/names.hpp"

namespace manul::config {

namespace {

/// What was given for one setting, and where.
struct Given {
    std::vector<std::string> values;  ///< one, or the items of a list
    bool is_list = false;
    std::string where;  ///< "manul.yaml:3: run_dir" or "MANUL_RUN_DIR"

    [[nodiscard]] std::string_view text() const { return values.empty() ? std::string_view{} : values.front(); }
};

/// Reason why a value is not accepted; nothing when it is.
using Refusal = std::optional<std::string>;
using Setter = Refusal (*)(Settings&, const Given&);

Refusal refuse(std::string_view value, std::string_view wanted) {
    return fmt::format("\"{}\" is not accepted, expected {}", value, wanted);
}

Refusal set_bool(bool& target, const Given& given) {
    if (given.text() != "true" && given.text() != "false") {
        return refuse(given.text(), "true or false");
    }
    target = given.text() == "true";
    return std::nullopt;
}

Refusal set_port(std::uint16_t& target, const Given& given) {
    const std::string_view text = given.text();
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), target);
    if (failure != std::errc{} || end != text.data() + text.size()) {
        return refuse(text, "a port number, 0 = off");
    }
    return std::nullopt;
}

Refusal set_absolute_path(std::string& target, const Given& given) {
    if (!given.text().starts_with('/')) {
        return refuse(given.text(), "an absolute path");
    }
    target = given.text();
    return std::nullopt;
}

Refusal set_run_dir(Settings& settings, const Given& given) {
    if (given.text().size() > kMaxRunDirBytes) {
        return fmt::format("\"{}\" has {} bytes, at most {} are possible: the paths of sockets in it end at 108",
                           given.text(), given.text().size(), kMaxRunDirBytes);
    }
    return set_absolute_path(settings.run_dir, given);
}

Refusal set_node_name(Settings& settings, const Given& given) {
    if (!model::is_dns_subdomain(given.text())) {
        return refuse(given.text(), "a lower-case name of letters, digits, '-' and '.'");
    }
    settings.node_name = given.text();
    return std::nullopt;
}

Refusal set_detection(AddressDetection& target, const Given& given) {
    auto parsed = AddressDetection::parse(given.text());
    if (!parsed) {
        return std::move(parsed).error().message;
    }
    target = *std::move(parsed);
    return std::nullopt;
}

Refusal set_datastore_type(Settings& settings, const Given& given) {
    const std::string_view name = given.text() == "etcdv3" ? "etcd" : given.text();  // calicoctl's word
    const auto found = std::ranges::find(kDatastoreTypes, name);
    if (found == kDatastoreTypes.end()) {
        return refuse(name, "sqlite, etcd, kubernetes, server or memory");
    }
    settings.datastore.type = static_cast<DatastoreType>(found - kDatastoreTypes.begin());
    return std::nullopt;
}

Refusal set_endpoints(Settings& settings, const Given& given) {
    settings.datastore.etcd.endpoints.clear();
    for (const std::string& value : given.values) {
        std::string_view rest = value;
        while (!rest.empty()) {
            const std::size_t comma = rest.find(',');
            settings.datastore.etcd.endpoints.emplace_back(rest.substr(0, comma));
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
    }
    return std::nullopt;
}

Refusal set_timeout(Settings& settings, const Given& given) {
    const auto duration = model::Duration::parse(given.text());
    if (!duration || duration->value.count() <= 0) {
        return refuse(given.text(), "a duration like 5s");
    }
    settings.datastore.etcd.timeout_ms = duration->milliseconds().count();
    return std::nullopt;
}

Refusal set_log_level(Settings& settings, const Given& given) {
    if (!log::parse_level(given.text(), settings.log_level)) {
        return refuse(given.text(), "debug, info, warning or error");
    }
    return std::nullopt;
}

Refusal set_log_format(Settings& settings, const Given& given) {
    if (given.text() != "text" && given.text() != "json") {
        return refuse(given.text(), "text or json");
    }
    settings.log_format = given.text() == "json" ? log::Format::json : log::Format::text;
    return std::nullopt;
}

struct Setting {
    std::string_view path;
    Setter set;
    std::string_view calico_name = {};  ///< calicoctl's environment variable
    bool list = false;
};

#define MANUL_TEXT(member)                                  \
    [](Settings& settings, const Given& given) -> Refusal { \
        settings.member = given.text();                     \
        return std::nullopt;                                \
    }
#define MANUL_WITH(function, member) \
    [](Settings& settings, const Given& given) -> Refusal { return function(settings.member, given); }

constexpr auto kSettings = std::to_array<Setting>({
    {"node.name", set_node_name},
    {"node.address_detection.ipv4", MANUL_WITH(set_detection, detection_v4)},
    {"node.address_detection.ipv6", MANUL_WITH(set_detection, detection_v6)},
    {"datastore.type", set_datastore_type, "DATASTORE_TYPE"},
    {"datastore.path", MANUL_WITH(set_absolute_path, datastore.path)},
    {"datastore.etcd.endpoints", set_endpoints, "ETCD_ENDPOINTS", true},
    {"datastore.etcd.ca_file", MANUL_WITH(set_absolute_path, datastore.etcd.ca_file), "ETCD_CA_CERT_FILE"},
    {"datastore.etcd.cert_file", MANUL_WITH(set_absolute_path, datastore.etcd.cert_file), "ETCD_CERT_FILE"},
    {"datastore.etcd.key_file", MANUL_WITH(set_absolute_path, datastore.etcd.key_file), "ETCD_KEY_FILE"},
    {"datastore.etcd.username", MANUL_TEXT(datastore.etcd.username), "ETCD_USERNAME"},
    {"datastore.etcd.password", MANUL_TEXT(datastore.etcd.password), "ETCD_PASSWORD"},
    {"datastore.etcd.password_file", MANUL_WITH(set_absolute_path, datastore.etcd.password_file)},
    {"datastore.etcd.prefix", MANUL_WITH(set_absolute_path, datastore.etcd.prefix)},
    {"datastore.etcd.timeout", set_timeout},
    {"datastore.kubernetes.kubeconfig", MANUL_TEXT(datastore.kubeconfig), "KUBECONFIG"},
    {"datastore.kubernetes.context", MANUL_TEXT(datastore.context)},
    {"run_dir", set_run_dir},
    {"state_dir", MANUL_WITH(set_absolute_path, state_dir)},
    {"log_dir", MANUL_WITH(set_absolute_path, log_dir)},
    {"log.level", set_log_level},
    {"log.format", set_log_format},
    {"bgpd.kernel", MANUL_WITH(set_bool, bgpd_kernel)},
    {"bgpd.metrics_port", MANUL_WITH(set_port, listeners.bgpd_metrics_port)},
    {"bgpd.health_port", MANUL_WITH(set_port, listeners.bgpd_health_port)},
    {"ipamd.metrics_port", MANUL_WITH(set_port, listeners.ipamd_metrics_port)},
    {"ipamd.health_port", MANUL_WITH(set_port, listeners.ipamd_health_port)},
    {"metrics_host", MANUL_TEXT(listeners.metrics_host)},
    {"felix.felix_names", MANUL_WITH(set_bool, felix_names)},
    {"serve.listen", MANUL_TEXT(serve.listen)},
    {"serve.tls_cert_file", MANUL_WITH(set_absolute_path, serve.tls_cert_file)},
    {"serve.tls_key_file", MANUL_WITH(set_absolute_path, serve.tls_key_file)},
    {"serve.client_ca_file", MANUL_WITH(set_absolute_path, serve.client_ca_file)},
    {"serve.tokens_file", MANUL_WITH(set_absolute_path, serve.tokens_file)},
});

#undef MANUL_TEXT
#undef MANUL_WITH

/// What a field of calicoctl's own configuration file (kind CalicoAPIConfig) means here.
struct CalicoField {
    std::string_view name;
    std::string_view path = {};     ///< the setting
    std::string_view instead = {};  ///< of what cannot be taken over: what to do
};
constexpr std::string_view kNameKubeconfig = "name a kubeconfig file in spec.kubeconfig";
constexpr auto kCalicoFields = std::to_array<CalicoField>({
    {"datastoreType", "datastore.type"},
    {"etcdEndpoints", "datastore.etcd.endpoints"},
    {"etcdUsername", "datastore.etcd.username"},
    {"etcdPassword", "datastore.etcd.password"},
    {"etcdKeyFile", "datastore.etcd.key_file"},
    {"etcdCertFile", "datastore.etcd.cert_file"},
    {"etcdCACertFile", "datastore.etcd.ca_file"},
    {"kubeconfig", "datastore.kubernetes.kubeconfig"},
    {"k8sCurrentContext", "datastore.kubernetes.context"},
    {"etcdDiscoverySrv", {}, "list the members in spec.etcdEndpoints"},
    {"etcdKey", {}, "write the key to a file and name it in spec.etcdKeyFile"},
    {"etcdCert", {}, "write the certificate to a file and name it in spec.etcdCertFile"},
    {"etcdCACert", {}, "write the certificate to a file and name it in spec.etcdCACertFile"},
    {"k8sAPIEndpoint", {}, kNameKubeconfig},
    {"k8sKeyFile", {}, kNameKubeconfig},
    {"k8sCertFile", {}, kNameKubeconfig},
    {"k8sCAFile", {}, kNameKubeconfig},
    {"k8sAPIToken", {}, kNameKubeconfig},
    {"k8sInsecureSkipTLSVerify", {}, kNameKubeconfig},
    {"k8sDisableNodePoll"},  // about calicoctl's own doings: without effect
    {"k8sClientQPS"},
});

std::string environment_name(std::string_view path) {
    std::string name = "MANUL_";
    for (const char c : path) {
        name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return name;
}

/// Collects what a file gives for each known path, and everything that is wrong with it.
class FileReader {
public:
    FileReader(const std::string& file_name, std::map<std::string_view, Given>& given, std::vector<std::string>& errors)
        : file_name_(file_name), given_(given), errors_(errors) {}

    void read(std::string_view text) {
        // NOLINTBEGIN(misc-include-cleaner): see the include
        std::vector<YAML::Node> documents;
        try {
            documents = YAML::LoadAll(std::string(text));
        } catch (const YAML::Exception& failure) {
            errors_.push_back(fmt::format("{}:{}: not YAML: {}", file_name_, failure.mark.line + 1, failure.msg));
            return;
        }
        // NOLINTEND(misc-include-cleaner)
        std::erase_if(documents, [](const YAML::Node& node) { return !node.IsDefined() || node.IsNull(); });
        if (documents.size() > 1) {
            report(documents[1], "", "a settings file has one document");
        } else if (!documents.empty() && documents.front().IsMap() && is_calico(documents.front())) {
            walk_calico(documents.front());
        } else if (!documents.empty()) {
            walk(documents.front(), "");
        }
    }

private:
    void report(const YAML::Node& node, std::string_view path, std::string_view reason) {
        errors_.push_back(fmt::format("{}{}{}", where(node, path), path.empty() ? "" : ": ", reason));
    }

    [[nodiscard]] std::string where(const YAML::Node& node, std::string_view path) const {
        return fmt::format("{}:{}: {}", file_name_, node.Mark().line + 1, path);
    }

    static bool is_calico(const YAML::Node& document) {
        const YAML::Node kind = document["kind"];
        return kind.IsDefined() && kind.IsScalar() && kind.Scalar() == "CalicoAPIConfig";
    }

    /// calicoctl's file: connections only.
    void walk_calico(const YAML::Node& document) {
        for (const auto& entry : document) {
            const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
            if (key == "spec" && entry.second.IsMap()) {
                for (const auto& field : entry.second) {
                    take_calico(field.first, field.second);
                }
            } else if (key == "spec" && !entry.second.IsNull()) {
                report(entry.second, key, "expected keys with values below it");
            } else if (key != "spec" && key != "apiVersion" && key != "kind" && key != "metadata") {
                report(entry.first, key, "unknown field of a CalicoAPIConfig");
            }
        }
        const auto imply = [this](std::string_view from, const char* type) {
            const auto found = given_.find(from);
            if (found != given_.end()) {  // as calicoctl reads it
                given_.try_emplace("datastore.type", Given{{type}, false, found->second.where});
            }
        };
        imply("datastore.etcd.endpoints", "etcd");
        imply("datastore.kubernetes.kubeconfig", "kubernetes");
    }

    void take_calico(const YAML::Node& key, const YAML::Node& value) {
        const std::string name = key.IsScalar() ? key.Scalar() : "";
        const std::string path = "spec." + name;
        const auto known = std::ranges::find(kCalicoFields, name, &CalicoField::name);
        if (known == kCalicoFields.end()) {
            std::vector<std::string_view> names;
            std::ranges::transform(kCalicoFields, std::back_inserter(names), &CalicoField::name);
            const auto meant = model::closest(name, names);
            report(key, path, meant ? fmt::format("unknown field, did you mean \"{}\"?", *meant) : "unknown field");
        } else if (!value.IsNull() && !value.IsScalar()) {
            report(value, path, "expected a single value");
        } else if (value.IsNull() || value.Scalar().empty()) {
            return;  // not given
        } else if (!known->instead.empty()) {
            if (value.Scalar() != "false") {
                report(key, path, fmt::format("is not supported: {}", known->instead));
            }
        } else if (!known->path.empty() &&
                   !given_.try_emplace(known->path, Given{{value.Scalar()}, false, where(value, path)}).second) {
            report(key, path, "given twice");
        }
    }

    void walk(const YAML::Node& node, const std::string& path) {
        const auto known = std::ranges::find(kSettings, path, &Setting::path);
        if (known != kSettings.end()) {
            take(node, *known);
            return;
        }
        const std::string prefix = path.empty() ? "" : path + ".";
        const bool is_group =
            std::ranges::any_of(kSettings, [&](const Setting& setting) { return setting.path.starts_with(prefix); });
        if (!is_group) {
            report_unknown(node, path);
            return;
        }
        if (node.IsNull()) {
            return;  // "bgpd:" with nothing below
        }
        if (!node.IsMap()) {
            report(node, path, "expected keys with values below it");
            return;
        }
        std::vector<std::string> seen;
        for (const auto& entry : node) {
            if (!entry.first.IsScalar()) {
                report(entry.first, path, "a key must be a plain word");
                continue;
            }
            const std::string& key = entry.first.Scalar();
            if (std::ranges::find(seen, key) != seen.end()) {
                report(entry.first, prefix + key, "given twice");
                continue;
            }
            seen.push_back(key);
            if (key.find('.') != std::string::npos) {
                report_unknown(entry.first, prefix + key);
                continue;
            }
            walk_entry(entry.first, entry.second, prefix + key);
        }
    }

    /// Aliases could make the walk endless; nothing needs them here. yaml-cpp hides them: a node that is used twice is
    /// the same node, seen by its position before its key's.
    void walk_entry(const YAML::Node& key, const YAML::Node& value, const std::string& path) {
        const bool behind = value.Mark().line > key.Mark().line ||
                            (value.Mark().line == key.Mark().line && value.Mark().column > key.Mark().column);
        if (!value.IsNull() && !behind) {
            report(key, path, "aliases are not accepted");
            return;
        }
        walk(value, path);
    }

    void report_unknown(const YAML::Node& node, const std::string& path) {
        std::vector<std::string_view> candidates;
        for (const Setting& setting : kSettings) {
            candidates.push_back(setting.path);
            for (std::size_t dot = setting.path.find('.'); dot != std::string_view::npos;
                 dot = setting.path.find('.', dot + 1)) {
                candidates.push_back(setting.path.substr(0, dot));
            }
        }
        const auto meant = model::closest(path, candidates);
        report(node, path, meant ? fmt::format("unknown setting, did you mean \"{}\"?", *meant) : "unknown setting");
    }

    void take(const YAML::Node& node, const Setting& setting) {
        Given given;
        given.where = where(node, setting.path);
        if (node.IsScalar()) {
            given.values.push_back(node.Scalar());
        } else if (node.IsSequence() && setting.list) {
            given.is_list = true;
            for (const YAML::Node& item : node) {
                if (!item.IsScalar()) {
                    report(item, setting.path, "expected a list of plain values");
                    return;
                }
                given.values.push_back(item.Scalar());
            }
        } else {
            report(node, setting.path, setting.list ? "expected a list" : "expected a single value");
            return;
        }
        given_[setting.path] = std::move(given);
    }

    const std::string& file_name_;
    std::map<std::string_view, Given>& given_;
    std::vector<std::string>& errors_;
};

/// Puts the environment's values over (own names) or under (calicoctl's) what the file gave.
void add_environment(const Environment& environment, std::map<std::string_view, Given>& given) {
    for (const Setting& setting : kSettings) {
        const std::string name = environment_name(setting.path);
        if (auto value = environment(name)) {
            given[setting.path] = {{*std::move(value)}, false, name};
        } else if (!setting.calico_name.empty() && !given.contains(setting.path)) {
            if (auto theirs = environment(std::string(setting.calico_name)); theirs && !theirs->empty()) {
                given[setting.path] = {{*std::move(theirs)}, false, std::string(setting.calico_name)};
            }
        }
    }
    const auto endpoints = given.find("datastore.etcd.endpoints");
    if (endpoints != given.end() && endpoints->second.where == "ETCD_ENDPOINTS" && !given.contains("datastore.type")) {
        given["datastore.type"] = {{"etcd"}, false, "ETCD_ENDPOINTS"};  // as calicoctl reads it
    }
}

}  // namespace

Result<Settings> parse_settings(std::string_view text, const std::string& file_name, const Environment& environment,
                                const std::string& host_name) {
    std::map<std::string_view, Given> given;
    std::vector<std::string> errors;
    FileReader(file_name, given, errors).read(text);
    add_environment(environment, given);
    if (!given.contains("node.name")) {
        given["node.name"] = {{ascii::lowered(host_name)}, false, "the host name (set node.name)"};
    }
    Settings settings;
    for (const Setting& setting : kSettings) {
        const auto found = given.find(setting.path);
        if (found == given.end()) {
            continue;
        }
        if (const Refusal refusal = setting.set(settings, found->second)) {
            errors.push_back(fmt::format("{}: {}", found->second.where, *refusal));
        }
    }
    if (!errors.empty()) {
        return fail(fmt::format("{}", fmt::join(errors, "\n")));
    }
    return settings;
}

Result<Settings> load_settings(const std::optional<std::string>& path) {
    const Environment environment = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): at start, before threads
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
    const auto named = path ? path : environment("MANUL_CONFIG");
    const std::string file_name = named.value_or(std::string(kDefaultSettingsFile));
    std::string text;
    if (named || ::access(file_name.c_str(), F_OK) == 0) {  // without the usual file the defaults hold
        MANUL_TRY(text, read_file(file_name));
    }
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return parse_settings(text, file_name, environment, host.data());
}

}  // namespace manul::config
