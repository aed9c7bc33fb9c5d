#include "config/model/port_criteria.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/model/policy.hpp"
#include "net/port_range.hpp"

namespace manul::model {

namespace {

/// Ranges first, then names; each once.
std::vector<Port> merged(std::vector<net::PortRange> numbers, std::vector<std::string> names) {
    std::ranges::sort(numbers);
    std::vector<net::PortRange> ranges;
    for (const net::PortRange& next : numbers) {
        if (!ranges.empty() && next.first() <= std::uint32_t{ranges.back().last()} + 1) {
            ranges.back() = *net::PortRange::make(ranges.back().first(), std::max(ranges.back().last(), next.last()));
        } else {
            ranges.push_back(next);
        }
    }
    std::vector<Port> out(ranges.begin(), ranges.end());
    std::ranges::sort(names);
    const auto repeated = std::ranges::unique(names);
    names.erase(repeated.begin(), repeated.end());
    out.insert(out.end(), names.begin(), names.end());
    return out;
}

}  // namespace

void PortCriteria::add_all(net::Protocol protocol) { of(protocol).everything = true; }

Result<void> PortCriteria::add(net::Protocol protocol, std::uint16_t first, std::uint16_t last) {
    const auto range = net::PortRange::make(first, last);
    if (!range) {
        return fail("the ports " + std::to_string(first) + " to " + std::to_string(last) + " are not a range");
    }
    of(protocol).numbers.push_back(*range);
    return {};
}

void PortCriteria::add_name(net::Protocol protocol, std::string name) { of(protocol).names.push_back(std::move(name)); }

void PortCriteria::add_name_of_any_protocol(std::string name) { names_.push_back(std::move(name)); }

std::vector<PortCriteria::Match> PortCriteria::matches() const {
    std::vector<Match> out;
    out.reserve(by_protocol_.size() + 1);
    for (const auto& [protocol, listed] : by_protocol_) {
        out.push_back({net::Protocol::parse(protocol),
                       listed.everything ? std::vector<Port>{} : merged(listed.numbers, listed.names)});
    }
    if (!names_.empty()) {
        out.push_back({std::nullopt, merged({}, names_)});
    }
    if (out.empty()) {
        out.emplace_back();
    }
    return out;
}

}  // namespace manul::model
