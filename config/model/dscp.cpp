#include "config/model/dscp.hpp"

#include "base/ascii.hpp"
#include "config/model/scalar.hpp"

namespace manul::model {

std::optional<std::uint8_t> dscp_of_text(std::string_view text) {
    Scalar scalar{std::string(text), ScalarForm::text};
    if (text.empty()) {
        return std::nullopt;
    }
    if (ascii::is_number(text)) {
        scalar.form = ScalarForm::number;
    }
    std::uint8_t number = 0;
    const ScalarResult result = ScalarAs<std::uint8_t, Dscp>::kInfo.parse(&number, scalar);
    return result.outcome == ScalarResult::Outcome::ok ? std::optional(number) : std::nullopt;
}

}  // namespace manul::model
