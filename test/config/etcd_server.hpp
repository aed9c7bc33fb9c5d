#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "test/config/sqlite_fixtures.hpp"

namespace manul::test {

/// Real etcd processes on loopback, with ports of their own, ended with this object.
class EtcdCluster {
public:
    struct Options {
        int members = 1;
        std::string tls_directory = {};           ///< with ca.crt, server.crt, server.key: TLS and client certificates
        std::vector<std::string> arguments = {};  ///< further ones for each member
        std::string directory = {};               ///< for the data; empty: one of its own, in memory
    };
    EtcdCluster() : EtcdCluster(Options{}) {}
    explicit EtcdCluster(Options options);
    ~EtcdCluster();
    EtcdCluster(const EtcdCluster&) = delete;
    EtcdCluster& operator=(const EtcdCluster&) = delete;

    /// Client addresses of all members.
    [[nodiscard]] std::vector<std::string> endpoints() const;
    [[nodiscard]] std::string endpoint(int member) const;
    /// SIGKILL; what it held stays on its disk.
    void kill(int member);
    void stop(int member);  ///< SIGSTOP: alive, and silent
    void resume(int member);
    /// Starts what was killed, and waits until it listens.
    void start(int member);
    /// Kills a lone member and starts another cluster in its place, empty.
    void replace();
    /// Runs etcdctl against the first member (or `options.tls_directory`'s client certificate). True on success.
    bool control(const std::string& arguments) const;
    /// Nothing, of one's own, in it: a prefix that no other test of this server uses.
    [[nodiscard]] static std::string fresh_prefix();

private:
    struct Process {
        std::uint16_t client_port = 0;
        std::uint16_t peer_port = 0;
        pid_t pid = -1;
    };
    [[nodiscard]] const std::string& directory() const;

    Options options_;
    ScratchDirectory directory_;
    std::vector<Process> members_;
    int generation_ = 0;
};

/// Whether etcd is installed and this build has its datastore.
[[nodiscard]] bool has_etcd();

}  // namespace manul::test
