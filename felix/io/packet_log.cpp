#include "felix/io/packet_log.hpp"

#include <charconv>
#include <cstddef>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/try.hpp"
#include "felix/eval/parse_packet.hpp"
#include "felix/io/messages.hpp"
#include "felix/model/rule_id.hpp"

namespace manul::felix::io {

namespace {

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

/// The parts of "kind/namespace/name"; the namespace is empty for what has none.
struct Owner {
    std::string kind;
    std::string name;  ///< "namespace/name" or "name"
};

Owner split_owner(std::string_view owner) {
    const std::size_t kind_end = owner.find('/');
    const std::string_view rest = kind_end == std::string_view::npos ? std::string_view{} : owner.substr(kind_end + 1);
    return {std::string(owner.substr(0, kind_end)), std::string(rest.starts_with('/') ? rest.substr(1) : rest)};
}

std::string_view verb_of(char what) {
    switch (what) {
        case 'A':
            return "allowed";
        case 'D':
            return "denied";
        case 'P':
            return "passed on";
        default:
            return "logged";
    }
}

}  // namespace

std::optional<LogPrefix> LogPrefix::parse(std::string_view text) {
    constexpr std::size_t kIdAt = 4;
    constexpr std::size_t kIdDigits = 16;
    if (text.size() != kIdAt + kIdDigits || text[1] != '|' || text[3] != '|' ||
        std::string_view("ADPL").find(text[0]) == std::string_view::npos || (text[2] != 'i' && text[2] != 'e')) {
        return std::nullopt;
    }
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data() + kIdAt, text.data() + text.size(), id, 16);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return LogPrefix{text[0], text[2] == 'i' ? Direction::ingress : Direction::egress, RuleId(id)};
}

std::string describe_origin(RuleId id, const std::optional<render::RuleOrigin>& origin,
                            const std::vector<PolicyId>& policies) {
    if (!origin) {
        const auto reason = built_in_reason(id);
        return reason ? std::string(*reason) : "a rule that is gone";
    }
    if (!origin->owner.empty()) {
        const Owner owner = split_owner(origin->owner);
        return fmt::format("{}{} {}, rule {}", origin->tier.empty() ? "" : "tier " + origin->tier + ", ", owner.kind,
                           owner.name, origin->index);
    }
    std::string text = "end of tier " + origin->tier;
    std::string_view separator = " (no rule matched of ";
    for (const PolicyId& policy : policies) {
        const Owner owner = split_owner(policy.to_string());
        text += fmt::format("{}{} {}", std::exchange(separator, ", "), owner.kind, owner.name);
    }
    return policies.empty() ? text : text + ")";
}

std::string fill_log_prefix(std::string text, const std::optional<render::RuleOrigin>& origin) {
    const Owner owner = origin ? split_owner(origin->owner) : Owner{};
    replace_all(text, "%t", origin ? origin->tier : std::string{});
    replace_all(text, "%k", owner.kind);
    replace_all(text, "%n", owner.name);
    replace_all(text, "%p", origin ? origin->owner : std::string{});
    return text;
}

Result<std::unique_ptr<PacketLog>> PacketLog::open(boost::asio::io_context& io, const render::Renderer& renderer) {
    std::unique_ptr<PacketLog> log(new PacketLog(renderer));
    MANUL_TRY(log->flow_log_,
              FlowLog::open(io, [self = log.get()](const FlowLog::Packet& packet) { self->on_packet(packet); }));
    return log;
}

std::optional<render::RuleOrigin> PacketLog::origin_of(RuleId id) {
    if (!origins_) {
        origins_ = renderer_.origins();
    }
    const auto found = origins_->find(id.value());
    return found == origins_->end() ? std::nullopt : std::optional(found->second);
}

void PacketLog::on_packet(const FlowLog::Packet& packet) {
    ++received_;
    const auto prefix = LogPrefix::parse(packet.prefix);
    const auto seen = parse_packet(packet.payload);
    if (!prefix || !seen) {
        ++damaged_;
        return;
    }
    const auto origin = origin_of(prefix->id);
    std::vector<PolicyId> policies;
    if (origin && origin->owner.empty()) {
        const std::string& own = prefix->direction == Direction::ingress ? packet.out_interface : packet.in_interface;
        policies = renderer_.policies_of(own, origin->tier, prefix->direction);
    }
    log::emit(prefix->what == 'D' ? kPacketDenied : kPacketLogged,
              fill_log_prefix(renderer_.config().log_prefix, origin), verb_of(prefix->what),
              to_string(prefix->direction), names_.describe(seen->source), names_.describe(seen->destination),
              describe_origin(prefix->id, origin, policies),
              fmt::format("IN={} OUT={} {} ID={:016x}", packet.in_interface, packet.out_interface, describe(*seen),
                          prefix->id.value()));
}

}  // namespace manul::felix::io
