#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

/// How to reach a Kubernetes API server and as whom: a kubeconfig, or what a pod is given. Certificates, keys and
/// tokens in files are read again whenever they may have changed, since all of them are rotated while programs run.
namespace manul::store::kubernetes {

/// In a kubeconfig: the content itself or a file with it.
struct Material {
    std::string data;  ///< wins over the file
    std::string file;

    [[nodiscard]] bool given() const noexcept { return !data.empty() || !file.empty(); }
    /// The content; empty when nothing is given.
    [[nodiscard]] Result<std::string> read() const;
};

/// A program that prints an ExecCredential (client.authentication.k8s.io).
struct ExecPlugin {
    std::string command;
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, std::string>> environment;
    std::string api_version;
};

struct Access {
    std::string server;  ///< https://host:port/path, or http:// for a local proxy
    std::string where;   ///< names the source in messages
    Material ca;
    std::string tls_server_name;  ///< empty: the host of `server`
    bool skip_verification = false;
    Material certificate;
    Material key;
    std::string token;
    std::string token_file;  ///< wins over the token
    std::optional<ExecPlugin> exec;
};

/// `text` is the content of `file`; relative paths in it are relative to its directory. An empty context means
/// current-context.
[[nodiscard]] Result<Access> parse_kubeconfig(std::string_view text, const std::string& file, std::string_view context);
/// `files` may be several, with colons between them, as $KUBECONFIG often has: the context is looked for in each, and
/// the first that names a current one decides which is meant. Files that are not there are passed over, as kubectl
/// does.
[[nodiscard]] Result<Access> load_kubeconfig(const std::string& files, std::string_view context);
/// What the kubelet gives every pod.
[[nodiscard]] Result<Access> in_cluster_access();

/// What one connection is made with.
struct TlsIdentity {
    std::string ca;  ///< PEM; empty: the system's
    std::string certificate;
    std::string key;
};

/// The credentials in force. One thread at a time.
class Credentials {
public:
    explicit Credentials(Access access) : access_(std::move(access)) {}

    [[nodiscard]] const Access& access() const noexcept { return access_; }
    /// The bearer token; empty when there is none. A token file is read again after a minute, a plugin is asked again
    /// when its token ends.
    [[nodiscard]] Result<std::string> token();
    [[nodiscard]] Result<TlsIdentity> identity();
    /// The server refused the token: the next call of token() gets a new one.
    void refused();

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] Result<void> refresh();

    Access access_;
    std::string token_;
    TlsIdentity plugin_identity_;  ///< certificate and key that a plugin gave
    std::optional<Clock::time_point> valid_until_;
};

}  // namespace manul::store::kubernetes
