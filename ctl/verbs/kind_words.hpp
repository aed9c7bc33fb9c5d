#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/model/kind.hpp"

/// The words by which people name kinds and objects.
namespace manul::ctl {

/// Finds a kind by any of its names. The error suggests one with a similar spelling.
[[nodiscard]] Result<model::Kind> kind_named(std::string_view text);

/// Objects of one kind that a command line names; no names: all of that kind.
struct Asked {
    model::Kind kind;
    std::vector<std::string> names;
};

struct AskedWords {
    std::vector<Asked> asked;
    std::vector<std::string> errors;
};

/// `KIND[,KIND...] [NAME...]`, or `KIND/NAME...` as `get -o name` prints them.
[[nodiscard]] AskedWords parse_asked(const std::vector<std::string>& words);

}  // namespace manul::ctl
