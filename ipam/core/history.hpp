#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipam/core/timestamp.hpp"
#include "net/ip.hpp"

/// Who had which address: lines that manul-ipamd appends to `<state_dir>/ipam-history.log` and `manulctl ipam why`
/// reads. A record for people: no decision depends on it, and it may lack the last moments before a crash.
namespace manul::ipam {

struct HistoryEntry {
    enum class Event : std::uint8_t { assigned, released };

    WallTime time;
    Event event = Event::assigned;
    net::Ip address;
    std::string handle;
    std::string owner;  ///< "default/web", or whatever is known about the owner
    std::string why;    ///< the reason of the choice, or of the release

    bool operator==(const HistoryEntry&) const = default;
};

/// One line, newline included.
[[nodiscard]] std::string print(const HistoryEntry& entry);
/// Nothing for a line that is torn or of another version.
[[nodiscard]] std::optional<HistoryEntry> parse_history(std::string_view line);
/// The entries of one address, in the order of the text.
[[nodiscard]] std::vector<HistoryEntry> history_of(std::string_view text, const net::Ip& address);

}  // namespace manul::ipam
