#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/model/policy.hpp"
#include "net/port_range.hpp"

/// The ports that a rule of Kubernetes lists, sorted into what one rule of ours each can say.
namespace manul::model {

class PortCriteria {
public:
    /// What one rule asks for. No protocol and no ports: everything.
    struct Match {
        std::optional<net::Protocol> protocol;
        std::vector<Port> ports;
    };

    /// Every port of a protocol; wins over single ones.
    void add_all(net::Protocol protocol);
    /// Fails when the two are no range.
    [[nodiscard]] Result<void> add(net::Protocol protocol, std::uint16_t first, std::uint16_t last);
    void add_name(net::Protocol protocol, std::string name);
    /// A port that the pods name, of the protocol that they name it with.
    void add_name_of_any_protocol(std::string name);

    /// One for each protocol, in the order of their names, then names of any protocol. One that matches everything when
    /// nothing was added. Ranges that overlap or touch are one.
    [[nodiscard]] std::vector<Match> matches() const;

private:
    struct OfProtocol {
        bool everything = false;
        std::vector<net::PortRange> numbers;
        std::vector<std::string> names;
    };
    OfProtocol& of(net::Protocol protocol) { return by_protocol_[protocol.to_string()]; }

    std::map<std::string, OfProtocol> by_protocol_;  ///< by the protocol's name
    std::vector<std::string> names_;
};

}  // namespace manul::model
