#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace manul::model {

/// One thing that is wrong with (or worth knowing about) an object, as a person reads it: where, what, and what would
/// be right. Decoding and validation report all of them at once.
struct Finding {
    enum class Severity : std::uint8_t {
        error,
        warning,  ///< accepted, but probably not what was meant
    };

    std::string path;  ///< "spec.ingress[0].action"; empty for the document as a whole
    std::string message;
    Severity severity = Severity::error;
    bool unknown_field = false;  ///< the path names a field that this version does not know
    std::string file;            ///< empty when the document did not come from a file
    std::uint32_t line = 0;      ///< from 1; 0 when unknown

    /// "FILE:LINE: PATH: MESSAGE", without the parts that are not known; warnings say so.
    [[nodiscard]] std::string to_string() const;

    bool operator==(const Finding&) const = default;
};

using Findings = std::vector<Finding>;

[[nodiscard]] inline bool has_errors(std::span<const Finding> findings) noexcept {
    return std::ranges::any_of(findings, [](const Finding& f) { return f.severity == Finding::Severity::error; });
}

}  // namespace manul::model
