#pragma once

#include <cstdint>
#include <string>

#include "config/model/kind.hpp"
#include "serve/message.hpp"

/// The record of a write: who, what, when, before and after.
namespace manul::serve {

struct AuditEntry {
    std::string verb;
    model::Key key;
    std::string subresource;
    unsigned code = 0;
    std::string message;  ///< why it was refused
    std::string before;   ///< document; empty: there was none
    std::string after;    ///< document; empty: there is none
};

/// One line: an Event of audit.k8s.io/v1, with the documents as annotations manul.io/before and manul.io/after, values
/// of secrets masked. `now_us`: microseconds since 1970.
[[nodiscard]] std::string audit_line(const AuditEntry& entry, const Request& request, const Caller& caller,
                                     const std::string& id, std::int64_t now_us);

}  // namespace manul::serve
