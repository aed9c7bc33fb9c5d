#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "base/daemon.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

/// A port of the node that leads to a workload's address.
struct PublishedPort {
    HostPort port;
    net::Ip target;

    bool operator==(const PublishedPort&) const = default;
};

/// Whether the connection was made to the port but does not lead to its target. `own`: the node's addresses.
[[nodiscard]] bool is_past(const PublishedPort& published, const Flow& flow, const std::set<net::Ip>& own);

/// Only the first datagram of a connection is translated for a published port. A client that keeps sending keeps alive
/// a connection that began before the port was published, or while it belonged to another pod: such connections are
/// ended here, as portmap does. TCP connections of this kind end by themselves, since nobody answers.
class PublishedPorts {
public:
    /// Both outlive this; the connections are used on the worker's thread alone.
    PublishedPorts(Worker& worker, Conntrack& conntrack) noexcept : worker_(worker), conntrack_(conntrack) {}

    void note(const Batch& batch);
    /// To be called when what was noted is in force.
    void take_effect(const std::function<std::set<net::Ip>()>& own);

private:
    Worker& worker_;
    Conntrack& conntrack_;
    std::map<EndpointKey, std::vector<PublishedPort>> known_;  ///< of UDP
    std::vector<PublishedPort> fresh_;
};

}  // namespace manul::felix::io
