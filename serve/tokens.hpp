#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "serve/message.hpp"

namespace manul::serve {

/// Kubernetes' static token file: lines of `token,user,uid,"group1,group2"`; lines that begin with # are remarks.
class Tokens {
public:
    /// Every mistake is reported, one a line, without the tokens.
    [[nodiscard]] static Result<Tokens> parse(std::string_view text);

    /// Who has the token; an empty user when nobody has. It takes the same time whatever is asked for.
    [[nodiscard]] Caller find(std::string_view token) const;

private:
    std::vector<std::pair<std::string, Caller>> rows_;
};

}  // namespace manul::serve
