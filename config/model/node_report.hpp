#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/asn.hpp"

namespace manul::model {

enum class ReportDaemon : std::uint8_t { bgpd, felix, ipamd };
enum class SessionType : std::uint8_t { mesh, node, global };
enum class SessionState : std::uint8_t { idle, connect, active, open_sent, open_confirm, established };

/// One BGP session as bgpd sees it.
struct ReportedSession {
    std::string peer;    ///< address, with the interface for a link-local one
    std::string family;  ///< "IPv4", "IPv6" or "IPv4,IPv6"
    SessionType type = SessionType::global;
    std::optional<net::Asn> as_number;
    SessionState state = SessionState::idle;
    std::string since;       ///< RFC 3339 UTC, seconds
    std::string last_error;  ///< empty when there was none

    bool operator==(const ReportedSession&) const = default;
};

/// An object whose stored version is not the one in force.
struct NotInForce {
    std::string kind;  ///< "NetworkPolicy.projectcalico.org": name and group
    std::string ns;
    std::string name;
    std::string reason;
    std::string token_refused;
    std::string token_in_force;  ///< empty: no version is in force

    bool operator==(const NotInForce&) const = default;
};

/// A setting whose value does not come from the store ("FELIX_LOGSEVERITYSCREEN").
struct SettingOverride {
    std::string field;
    std::string value;
    std::string source;

    bool operator==(const SettingOverride&) const = default;
};

/// Something that the daemon wants people to know, with a stable reason ("SettingWithoutEffect", "StoreTooNew").
struct ReportedCondition {
    std::string reason;
    std::string message;

    bool operator==(const ReportedCondition&) const = default;
};

/// What one daemon of one node knows; written by that daemon alone, as object "<node>.<daemon>".
struct NodeReportSpec {
    ReportDaemon daemon = ReportDaemon::felix;
    std::string node;
    std::string version;
    bool in_sync = false;
    /// By kind ("NetworkPolicy.projectcalico.org"): the last token in force.
    std::map<std::string, std::string> last_tokens;
    std::vector<ReportedSession> sessions;  ///< bgpd's
    std::vector<NotInForce> not_in_force;
    std::vector<SettingOverride> overrides;
    std::vector<ReportedCondition> conditions;

    bool operator==(const NodeReportSpec&) const = default;
};

struct NodeReport final : ResourceOf<Kind::node_report> {
    NodeReportSpec spec;
};

/// "NetworkPolicy.projectcalico.org", "Pod": how reports name a kind.
[[nodiscard]] std::string reported_kind(Kind kind);

}  // namespace manul::model
