#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.hpp"
#include "felix/calc/address_names.hpp"
#include "felix/calc/event.hpp"
#include "felix/io/flow_log.hpp"
#include "felix/render/renderer.hpp"

namespace manul::felix::io {

/// Writes a log line for each packet that a rule reports: Log rules, and with deny logging everything that denies. A
/// line names both endpoints and the tier, policy and rule, or the reason if it was no rule.
class PacketLog {
public:
    /// `renderer` knows the rules; it outlives the log.
    [[nodiscard]] static Result<std::unique_ptr<PacketLog>> open(boost::asio::io_context& io,
                                                                 const render::Renderer& renderer);

    /// Updates who has which address.
    void handle(const Event& event) { names_.handle(event); }
    /// To be called when ids may stand for other rules than before.
    void rules_changed() { origins_.reset(); }

    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] std::uint64_t damaged() const noexcept { return damaged_; }
    /// How often the kernel had more packets than fit into the socket.
    [[nodiscard]] std::uint64_t overruns() const noexcept { return flow_log_ ? flow_log_->overruns() : 0; }

private:
    explicit PacketLog(const render::Renderer& renderer) : renderer_(renderer) {}
    void on_packet(const FlowLog::Packet& packet);
    [[nodiscard]] std::optional<render::RuleOrigin> origin_of(RuleId id);

    const render::Renderer& renderer_;
    AddressNames names_;
    std::optional<std::unordered_map<std::uint64_t, render::RuleOrigin>> origins_;  ///< looked up when needed
    std::uint64_t received_ = 0;
    std::uint64_t damaged_ = 0;
    std::unique_ptr<FlowLog> flow_log_;
};

/// An NFLOG prefix: "D|i|1f2e3a4b5c6d7e8f".
struct LogPrefix {
    char what = 'L';  ///< A allowed, D denied, P passed on, L a Log rule
    Direction direction = Direction::ingress;
    RuleId id;

    [[nodiscard]] static std::optional<LogPrefix> parse(std::string_view text);
};

/// "tier default, NetworkPolicy default/web, rule 0" and the like: what stands behind the id. `policies` are those of
/// the tier whose end it is, as far as they are known.
[[nodiscard]] std::string describe_origin(RuleId id, const std::optional<render::RuleOrigin>& origin,
                                          const std::vector<PolicyId>& policies);

/// logPrefix with its placeholders filled in: %t tier, %k kind, %n name, %p kind and name.
[[nodiscard]] std::string fill_log_prefix(std::string text, const std::optional<render::RuleOrigin>& origin);

}  // namespace manul::felix::io
