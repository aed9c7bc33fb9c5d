#include "ctl/node/install_cni.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/core.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/error.hpp"
#include "base/read_file.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "ctl/output/json.hpp"

namespace manul::ctl {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kPlugin = "manul";

std::unexpected<Error> failed(const std::string& path, std::string_view what) {
    return fail(fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe)
}

/// All of it or nothing, also after power loss.
Result<void> write_file(const fs::path& path, std::string_view content, mode_t mode) {
    std::error_code ec;
    fs::create_directories(path.parent_path(), ec);
    const fs::path temporary = path.parent_path() / fmt::format(".{}.{}", path.filename().string(), ::getpid());
    const UniqueFd directory(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    bool good = directory && file && ::fchmod(file.get(), mode) == 0;
    for (std::string_view rest = content; good && !rest.empty();) {
        const ssize_t count = ::write(file.get(), rest.data(), rest.size());
        good = count > 0 || (count < 0 && errno == EINTR);
        rest.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    if (!good || ::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0 ||
        ::fsync(directory.get()) != 0) {
        auto error = failed(path.string(), "write");
        (void)::unlink(temporary.c_str());
        return error;
    }
    return {};
}

/// Beside this program, where packages install plugins, or in the build tree.
std::optional<std::string> find_plugin() {
    std::error_code ec;
    const fs::path self = fs::read_symlink("/proc/self/exe", ec).parent_path();
    for (const fs::path& place : {self / kPlugin, self / "../lib/cni" / kPlugin, self / "../cni" / kPlugin}) {
        if (fs::is_regular_file(place, ec) && ::access(place.c_str(), X_OK) == 0) {
            return place.lexically_normal().string();
        }
    }
    return std::nullopt;
}

Result<void> install_plugin(const InstallCniOptions& options) {
    const auto source = options.plugin ? options.plugin : find_plugin();
    if (!source) {
        return fail("the plugin is not beside this program; name it with --plugin");
    }
    const fs::path target = fs::path(options.bin_dir) / kPlugin;
    std::error_code ec;
    if (fs::equivalent(*source, target, ec)) {
        return {};
    }
    MANUL_TRY(const std::string program, read_file(*source));
    return write_file(target, program, 0755);
}

/// Lists of others that a runtime, which takes the first by name, would prefer.
std::vector<std::string> lists_before(const InstallCniOptions& options) {
    std::vector<std::string> names;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(options.conf_dir, ec)) {
        const std::string name = entry.path().filename().string();
        const std::string extension = entry.path().extension().string();
        if (name < options.conf_name && !name.starts_with('.') &&
            (extension == ".conflist" || extension == ".conf" || extension == ".json")) {
            names.push_back(name);
        }
    }
    std::ranges::sort(names);
    return names;
}

Result<std::string> list_to_install(const Context& context, const InstallCniOptions& options) {
    if (!options.conf) {
        return network_list(context.settings, options);
    }
    MANUL_TRY(std::string text, read_file(*options.conf));
    boost::system::error_code error;
    const json::value list = json::parse(text, error);
    const auto* object = error ? nullptr : list.if_object();
    if (object == nullptr || !object->contains("name") || !object->contains("plugins")) {
        return fail(*options.conf + ": is no network list: a JSON object with name, cniVersion and plugins");
    }
    return text;
}

Result<void> remove_file(const fs::path& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return failed(path.string(), "remove");
    }
    return {};
}

Result<void> remove_all(const InstallCniOptions& options) {
    MANUL_CHECK(remove_file(fs::path(options.conf_dir) / options.conf_name));
    return remove_file(fs::path(options.bin_dir) / kPlugin);
}

Result<void> install_all(const Context& context, const InstallCniOptions& options) {
    if (!options.conf_name.ends_with(".conflist") || options.conf_name.find('/') != std::string::npos) {
        return fail("--conf-name must be a file name that ends in .conflist, which runtimes look for");
    }
    MANUL_TRY(const std::string list, list_to_install(context, options));
    MANUL_CHECK(install_plugin(options));
    return write_file(fs::path(options.conf_dir) / options.conf_name, list, 0644);
}

}  // namespace

std::string network_list(const config::Settings& settings, const InstallCniOptions& options) {
    json::object plugin{{"type", kPlugin}};
    const config::Settings defaults;
    if (settings.run_dir != defaults.run_dir) {
        plugin["run_dir"] = settings.run_dir;
    }
    if (settings.state_dir != defaults.state_dir) {
        plugin["state_dir"] = settings.state_dir;
    }
    if (options.mtu) {
        plugin["mtu"] = *options.mtu;
    }
    if (options.policy_timeout) {
        plugin["policy_setup_timeout_seconds"] = *options.policy_timeout;
    }
    plugin["ipam"] = json::object{{"assign_ipv4", true}, {"assign_ipv6", options.ipv6}};
    json::object capabilities{
        {"bandwidth", true}, {"io.kubernetes.cri.pod-annotations", true}, {"ips", true}, {"mac", true}};
    json::array plugins;
    // Published ports are this plugin's own work, except on Kubernetes, where they stay with the plugin made for that.
    const bool own_ports = settings.datastore.type != config::DatastoreType::kubernetes;
    if (own_ports) {
        capabilities["portMappings"] = true;
    }
    plugin["capabilities"] = std::move(capabilities);
    plugins.push_back(std::move(plugin));
    if (!own_ports) {
        plugins.push_back(
            json::object{{"type", "portmap"}, {"snat", true}, {"capabilities", json::object{{"portMappings", true}}}});
    }
    const std::string list =
        json::serialize(json::object{{"cniVersion", "1.0.0"},
                                     {"cniVersions", json::array{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}},
                                     {"name", options.network},
                                     {"plugins", std::move(plugins)}});
    return pretty_json(list).value_or(list);
}

ExitCode install_cni(const Context& context, const InstallCniOptions& options) {
    if (options.remove) {
        const auto removed = remove_all(options);
        return removed ? ExitCode::ok : context.fail(removed.error().message);
    }
    if (const auto installed = install_all(context, options); !installed) {
        return context.fail(installed.error().message);
    }
    context.print(
        fmt::format("installed {}/{} and {}/{}\n", options.bin_dir, kPlugin, options.conf_dir, options.conf_name));
    for (const std::string& name : lists_before(options)) {
        context.err(
            fmt::format("manulctl: warning: {}/{} comes first by name, and a runtime takes the first; remove it\n",
                        options.conf_dir, name));
    }
    return ExitCode::ok;
}

}  // namespace manul::ctl
