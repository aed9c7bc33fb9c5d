#pragma once

#include <sys/types.h>

#include <string>

namespace manul::test {

/// A `manulctl serve --insecure` of its own, on a free port, over a datastore of its own.
class ServerProcess {
public:
    ServerProcess();
    ~ServerProcess();
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    /// The file that tells clients where it is.
    [[nodiscard]] std::string kubeconfig() const { return directory_ + "/kubeconfig"; }
    /// As a power failure.
    void kill();
    /// Again on the same port and datastore.
    void start();

private:
    std::string directory_;
    std::string port_ = "0";
    pid_t process_ = -1;
};

}  // namespace manul::test
