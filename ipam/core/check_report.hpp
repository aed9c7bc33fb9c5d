#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "ipam/core/check.hpp"

/// The JSON report of `ipam check -o FILE`, which `ipam release --from-report FILE` reads again. The keys that
/// calicoctl knows are calicoctl's; "summary" and "findings" are additions.
namespace manul::ipam {

struct ReportHeader {
    std::string version;
    std::string cluster_guid;
    std::string cluster_revision;  ///< resourceVersion of ClusterInformation: grows when the datastore is (un)locked
    bool datastore_locked = false;

    bool operator==(const ReportHeader&) const = default;
};

[[nodiscard]] std::string print_report(const ReportHeader& header, const CheckResult& result);

/// What a release takes from a report.
struct LeakedAddress {
    net::Ip address;
    std::string handle;
    std::optional<std::uint64_t> sequence;

    auto operator<=>(const LeakedAddress&) const = default;
};
struct LeakReport {
    ReportHeader header;
    std::vector<LeakedAddress> addresses;
    std::vector<LeakedHandle> handles;
};
[[nodiscard]] Result<LeakReport> parse_report(std::string_view text);

/// What every one of the reports calls leaked. Refuses reports of different clusters. Precondition: at least one.
[[nodiscard]] Result<LeakReport> common_leaks(const std::vector<LeakReport>& reports);

}  // namespace manul::ipam
