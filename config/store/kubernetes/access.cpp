#include "config/store/kubernetes/access.hpp"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/base64.hpp"
#include "base/error.hpp"
#include "base/read_file.hpp"
#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml_tree.hpp"
#include "config/store/kubernetes/exec_plugin.hpp"

namespace manul::store::kubernetes {

namespace {

using codec::Tree;

constexpr std::string_view kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The kubelet replaces a token at about 80 % of its life, which is an hour.
constexpr std::chrono::seconds kTokenFileLife{60};

std::string trimmed(std::string text) {
    const std::size_t end = text.find_last_not_of(" \t\r\n");
    text.resize(end == std::string::npos ? 0 : end + 1);
    return text;
}

std::string beside(const std::string& file, std::string_view path) {
    if (path.empty() || path.front() == '/') {
        return std::string(path);
    }
    return (std::filesystem::path(file).parent_path() / path).string();
}

/// The entry called `name` of a list of the kubeconfig, or null.
const Tree* named(const Tree& config, std::string_view list, std::string_view name) {
    const Tree* entries = config.find(list);
    if (entries == nullptr) {
        return nullptr;
    }
    for (const Tree& entry : entries->children) {
        if (entry.text_at("name") == name) {
            return &entry;
        }
    }
    return nullptr;
}

Result<Material> material(const Tree& from, const std::string& name, const std::string& file) {
    Material out;
    out.file = beside(file, from.text_at(name));
    if (const std::string_view data = from.text_at(name + "-data"); !data.empty()) {
        auto decoded = base64_decode(data);
        if (!decoded) {
            return fail(file + ": " + name + "-data is not base64");
        }
        out.data = *std::move(decoded);
    }
    return out;
}

ExecPlugin plugin(const Tree& exec, const std::string& file) {
    ExecPlugin out;
    const std::string_view command = exec.text_at("command");
    out.command = command.find('/') == std::string_view::npos ? std::string(command) : beside(file, command);
    out.api_version = exec.text_at("apiVersion");
    if (const Tree* arguments = exec.find("args")) {
        for (const Tree& argument : arguments->children) {
            out.arguments.push_back(argument.text);
        }
    }
    if (const Tree* environment = exec.find("env"); environment != nullptr && environment->is_list()) {
        for (const Tree& variable : environment->children) {
            out.environment.emplace_back(variable.text_at("name"), variable.text_at("value"));
        }
    }
    return out;
}

}  // namespace

Result<std::string> Material::read() const { return data.empty() && !file.empty() ? read_file(file) : data; }

Result<Access> parse_kubeconfig(std::string_view text, const std::string& file, std::string_view context) {
    const codec::YamlFile yaml = codec::parse_yaml(text);
    if (!yaml.findings.empty() || yaml.documents.empty() || !yaml.documents.front().findings.empty() ||
        !yaml.documents.front().tree.is_map()) {
        return fail(file + " is no kubeconfig" +
                    (yaml.findings.empty() ? std::string() : ": " + yaml.findings.front().to_string()));
    }
    const Tree& config = yaml.documents.front().tree;
    const std::string name(context.empty() ? config.text_at("current-context") : context);
    const Tree* entry = named(config, "contexts", name);
    if (entry == nullptr) {
        return fail(file + (name.empty() ? " has no current-context; name one in datastore.kubernetes.context"
                                         : " has no context \"" + name + "\""));
    }
    const std::string cluster_name(entry->text_at("context", "cluster"));
    const std::string user_name(entry->text_at("context", "user"));
    const Tree* cluster_entry = named(config, "clusters", cluster_name);
    const Tree* cluster = cluster_entry == nullptr ? nullptr : cluster_entry->find("cluster");
    if (cluster == nullptr) {
        return fail(file + " has no cluster \"" + cluster_name + "\"");
    }
    Access access;
    access.where = file + ", context " + name;
    access.server = cluster->text_at("server");
    access.tls_server_name = cluster->text_at("tls-server-name");
    const Tree* skip = cluster->find("insecure-skip-tls-verify");
    access.skip_verification = skip != nullptr && skip->text == "true";
    MANUL_TRY(access.ca, material(*cluster, "certificate-authority", file));
    const Tree* user_entry = named(config, "users", user_name);
    const Tree* user = user_entry == nullptr ? nullptr : user_entry->find("user");
    if (user == nullptr) {
        return access;  // an API server may allow anonymous requests, for example behind a local proxy
    }
    MANUL_TRY(access.certificate, material(*user, "client-certificate", file));
    MANUL_TRY(access.key, material(*user, "client-key", file));
    access.token = user->text_at("token");
    access.token_file = beside(file, user->text_at("tokenFile"));
    if (const Tree* exec = user->find("exec"); exec != nullptr && exec->is_map()) {
        access.exec = plugin(*exec, file);
    }
    return access;
}

Result<Access> load_kubeconfig(const std::string& files, std::string_view context) {
    if (files.find(':') == std::string::npos) {
        MANUL_TRY(const std::string text, read_file(files));
        return parse_kubeconfig(text, files, context);
    }
    std::vector<std::pair<std::string, std::string>> readable;  // name, text
    std::string wanted(context);
    std::istringstream names(files);
    for (std::string file; std::getline(names, file, ':');) {
        if (auto text = read_file(file)) {
            const codec::YamlFile yaml = codec::parse_yaml(*text);
            if (wanted.empty() && !yaml.documents.empty()) {
                wanted = yaml.documents.front().tree.text_at("current-context");
            }
            readable.emplace_back(std::move(file), *std::move(text));
        }
    }
    for (const auto& [file, text] : readable) {
        if (auto access = parse_kubeconfig(text, file, wanted)) {
            return access;
        }
    }
    return fail(files + (wanted.empty() ? ": no current-context; name one in datastore.kubernetes.context"
                                        : ": no file among these describes the context \"" + wanted + "\""));
}

Result<Access> in_cluster_access() {
    const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
    const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
    if (host == nullptr || port == nullptr) {
        return fail(
            "this is no pod of Kubernetes (KUBERNETES_SERVICE_HOST is not set); give datastore.kubernetes.kubeconfig");
    }
    Access access;
    const std::string address(host);
    access.server = "https://" + (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + port;
    access.where = "the pod's service account";
    access.ca.file = std::string(kServiceAccount) + "/ca.crt";
    access.token_file = std::string(kServiceAccount) + "/token";
    return access;
}

Result<std::string> Credentials::token() {
    const bool stale = valid_until_ && Clock::now() >= *valid_until_;
    if ((access_.exec || !access_.token_file.empty()) && (!valid_until_ || stale)) {
        MANUL_CHECK(refresh());
    }
    return access_.exec || !access_.token_file.empty() ? token_ : access_.token;
}

Result<TlsIdentity> Credentials::identity() {
    MANUL_CHECK(token());  // a plugin may give a certificate instead of a token
    TlsIdentity identity = plugin_identity_;
    MANUL_TRY(identity.ca, access_.ca.read());
    if (access_.certificate.given()) {
        MANUL_TRY(identity.certificate, access_.certificate.read());
        MANUL_TRY(identity.key, access_.key.read());
    }
    return identity;
}

void Credentials::refused() { valid_until_.reset(); }

Result<void> Credentials::refresh() {
    if (!access_.token_file.empty()) {
        MANUL_TRY(std::string text, read_file(access_.token_file));
        token_ = trimmed(std::move(text));
        valid_until_ = Clock::now() + kTokenFileLife;
        return {};
    }
    MANUL_TRY(ExecCredential credential, run_exec_plugin(*access_.exec));
    token_ = std::move(credential.token);
    plugin_identity_ = {{}, std::move(credential.certificate), std::move(credential.key)};
    valid_until_ = Clock::now() + credential.life;
    return {};
}

}  // namespace manul::store::kubernetes
