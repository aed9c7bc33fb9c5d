#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace manul::test {

/// A `manulctl serve` of its own, on a free port, over a datastore of its own.
class ServerProcess {
public:
    struct Options {
        bool tls = false;            ///< with certificates of clients; else everybody is an admin
        std::string datastore = {};  ///< the setting; empty: a file of its own
    };
    ServerProcess() : ServerProcess(Options{}) {}
    explicit ServerProcess(Options options);
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    /// The file that tells clients where it is; with TLS as the client `admin`.
    [[nodiscard]] std::string kubeconfig() const { return directory_ + "/kubeconfig"; }
    /// One of a client of another name, who trusts another authority, or who finds it at another address ("host:port").
    [[nodiscard]] std::string kubeconfig_of(const std::string& client, const std::string& authority = "ca",
                                            const std::string& address = "") const;
    [[nodiscard]] int port() const { return std::stoi(port_); }
    /// As a power failure.
    void kill();
    /// Again on the same port and datastore.
    void start();

    /// What it holds open.
    [[nodiscard]] std::size_t descriptors() const;
    /// What it has in memory.
    [[nodiscard]] std::size_t memory_kib() const;

private:
    Options options_;
    std::string directory_;
    std::string port_ = "0";
    pid_t process_ = -1;
};

}  // namespace manul::test
