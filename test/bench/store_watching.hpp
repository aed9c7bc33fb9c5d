#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// The part of the bench in which somebody watches: another process, and a thousand clients of the API server.
namespace manul::bench {

using Opener = std::function<std::unique_ptr<store::Store>()>;

/// A document of about the size that such objects have.
[[nodiscard]] std::string document_of(const model::Key& key, std::size_t value);
void fail(const std::string& what);
[[nodiscard]] double quantile(std::vector<double> values, double part);

/// `sqlite` and the path, `etcd` and the URL of a member, `server` and a kubeconfig.
struct Address {
    std::string type;
    std::string where;
};
[[nodiscard]] std::unique_ptr<store::Store> open_store(const Address& address);

/// From the moment when a write is asked for, and from the one when it is done, to the event in another process, which
/// is this program again (gRPC does not outlive a fork): `--read-for TYPE WHERE FILE`.
void measure_wakeups(const Address& address, const std::string& directory);
/// What that other process does.
void read_wakeups(const Address& address, const std::string& file);

/// A program that runs beside, until the end.
class Program {
public:
    Program(const std::function<void()>& work, const std::string& log);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    [[nodiscard]] double memory_mb() const;
    [[nodiscard]] double cpu() const;
    [[nodiscard]] std::size_t descriptors() const;

private:
    pid_t process_ = -1;
};

/// Watchers of every kind through the daemons' own client: each a connection, a thread and a descriptor of this
/// process. They see `writes` writes.
void measure_watchers(const Program& server, const Opener& open, std::size_t watchers, std::size_t writes);

}  // namespace manul::bench
