#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "felix/model/endpoint.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/socket.hpp"

/// Bandwidth of workloads, by token buckets of the kernel (sch_tbf).
///
/// Traffic to a workload leaves the node through the workload's link, which gets the bucket. Traffic from a workload
/// arrives there, where nothing can be queued: the table `manul_shape` of family netdev redirects it to an ifb device
/// of its own, which has the bucket and passes the packets back. Nothing else changes: they still arrive through the
/// workload's link, and policy judges them as before.
namespace manul::felix::io {

class Shaper {
public:
    [[nodiscard]] static Result<Shaper> open();

    /// Bandwidths of the workload on this link; none in either direction: no limit.
    void want(const std::string& interface, const TrafficLimits& to_workload, const TrafficLimits& from_workload);
    void forget(const std::string& interface);
    /// The link appeared, vanished or changed.
    void link_changed(const std::string& interface);

    [[nodiscard]] bool is_idle() const noexcept { return swept_ && dirty_.empty(); }
    /// Reads what the kernel has; program() corrects the differences.
    void check();
    /// Writes what is missing. `find` returns the link of a name, null if it does not exist. The first call also
    /// removes what an earlier process left behind: `workloads` are the links that may have it.
    using FindLink = std::function<const netlink::Link*(const std::string&)>;
    void program(const FindLink& find, const std::set<std::string>& workloads);

    /// Those of these links whose buckets differ from the wanted ones; only reads.
    [[nodiscard]] std::vector<std::string> differences(const FindLink& find, const std::set<std::string>& workloads);

private:
    Shaper(netlink::Socket routes, UniqueFd nft) : routes_(std::move(routes)), nft_(std::move(nft)) {}

    struct Bucket {
        std::uint64_t rate = 0;   ///< bytes/s
        std::uint32_t burst = 0;  ///< bytes
        std::uint64_t peak = 0;   ///< bytes/s; 0: none
        std::uint32_t peak_burst = 0;
        bool operator==(const Bucket&) const = default;
    };
    struct Wish {
        TrafficLimits to_workload;
        TrafficLimits from_workload;
        std::uint32_t index = 0;  ///< of the link when it was programmed; 0: not programmed
        std::optional<Bucket> to;
        std::optional<Bucket> from;
    };
    [[nodiscard]] static std::optional<Bucket> bucket_of(const TrafficLimits& limits, std::uint32_t mtu);
    /// Of the queue, in bytes.
    [[nodiscard]] static std::uint32_t limit_of(const Bucket& bucket);
    [[nodiscard]] static std::string ifb_name(std::string_view interface);

    [[nodiscard]] Result<void> put(const std::string& interface, const netlink::Link& link, Wish& wish);
    [[nodiscard]] Result<void> put_bucket(std::uint32_t index, const Bucket& bucket);
    [[nodiscard]] bool holds(const std::string& interface, std::uint32_t index, const std::optional<Bucket>& to,
                             const std::optional<Bucket>& from);
    void remove_bucket(std::uint32_t index);
    [[nodiscard]] bool has_bucket(std::uint32_t index, const std::optional<Bucket>& wanted);
    [[nodiscard]] Result<std::uint32_t> put_ifb(const std::string& name);
    void remove_ifb(const std::string& name);
    [[nodiscard]] Result<void> put_redirect(const std::string& interface, std::uint32_t ifb);
    void remove_redirect(const std::string& interface);
    void remove_table();
    [[nodiscard]] bool has_redirect(const std::string& interface);
    [[nodiscard]] std::vector<std::string> redirected();
    [[nodiscard]] bool dump(netlink::RequestBuffer& question, std::uint16_t kind,
                            const std::function<void(ByteView)>& on_item);
    /// The errno of the batch's first refusal; 0: none.
    [[nodiscard]] int send_batch(netlink::RequestBuffer& batch);
    void sweep(const FindLink& find, const std::set<std::string>& workloads);

    netlink::Socket routes_;
    UniqueFd nft_;
    bool swept_ = false;
    std::map<std::string, Wish> wishes_;
    std::set<std::string> dirty_;
    std::map<std::string, std::string> reported_;  ///< failures that were logged, by interface
};

}  // namespace manul::felix::io
