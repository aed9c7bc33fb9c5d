// The small functions of the resource structs.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/sha1.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/finding.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/names.hpp"
#include "config/model/node_report.hpp"
#include "config/model/policy.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/ip.hpp"

namespace manul::model {

std::string Finding::to_string() const {
    std::string text;
    if (!file.empty()) {
        text += file + ":";
    }
    if (line != 0) {
        text += (file.empty() ? "line " : "") + std::to_string(line) + ":";
    }
    if (!text.empty()) {
        text += ' ';
    }
    if (severity == Severity::warning) {
        text += "warning: ";
    }
    if (!path.empty()) {
        text += path + ": ";
    }
    return text + message;
}

std::uint8_t IpPoolSpec::effective_block_size() const noexcept {
    return block_size.value_or(cidr.family() == net::Family::v4 ? 26 : 122);
}

bool IpPoolSpec::allows(AllowedUse use) const noexcept {
    if (allowed_uses.empty()) {
        return use != AllowedUse::load_balancer;
    }
    return std::ranges::find(allowed_uses, use) != allowed_uses.end();
}

std::vector<PolicyType> effective_types(const PolicySpec& spec) {
    if (!spec.types.empty()) {
        return spec.types;
    }
    if (spec.egress.empty()) {
        return {PolicyType::ingress};
    }
    if (spec.ingress.empty()) {
        return {PolicyType::egress};
    }
    return {PolicyType::ingress, PolicyType::egress};
}

const BuiltInTier* built_in_tier(std::string_view name) noexcept {
    const auto found = std::ranges::find(kBuiltInTiers, name, &BuiltInTier::name);
    return found == kBuiltInTiers.end() ? nullptr : &*found;
}

std::string workload_endpoint_name(const WorkloadEndpointSpec& spec) {
    const std::string& workload = spec.orchestrator == "k8s"   ? spec.pod
                                  : spec.orchestrator == "cni" ? spec.container_id
                                                               : spec.workload;
    std::string name;
    for (const std::string* part : {&spec.node, &spec.orchestrator, &workload, &spec.endpoint}) {
        if (part->empty()) {
            return {};
        }
        if (!name.empty()) {
            name += '-';
        }
        if (!is_dns_subdomain(*part)) {
            name += sha1_hex(*part);
            continue;
        }
        for (const char c : *part) {
            name.append(c == '-' ? 2U : 1U, c);
        }
    }
    return name;
}

std::string reported_kind(Kind kind) {
    const KindInfo& row = info(kind);
    return row.group.empty() ? std::string(row.name) : std::string(row.name) + "." + std::string(row.group);
}

std::optional<PeerAddress> PeerAddress::parse(std::string_view text) noexcept {
    if (const auto ip = net::Ip::parse(text)) {
        return PeerAddress{*ip, std::nullopt};
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view address = text.substr(0, colon);
    const bool bracketed = address.size() >= 2 && address.front() == '[' && address.back() == ']';
    if (bracketed) {
        address = address.substr(1, address.size() - 2);
    }
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const auto ip = net::Ip::parse(address);
    if (!ip || ip->is_v6() != bracketed || ec != std::errc{} || end != digits.data() + digits.size() || port == 0 ||
        digits.front() == '0') {
        return std::nullopt;
    }
    return PeerAddress{*ip, port};
}

std::string PeerAddress::to_string() const {
    if (!port) {
        return ip.to_string();
    }
    return (ip.is_v6() ? "[" + ip.to_string() + "]" : ip.to_string()) + ":" + std::to_string(*port);
}

}  // namespace manul::model
