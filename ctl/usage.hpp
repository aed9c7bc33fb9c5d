#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace manul::ctl {

/// What is wrong with a command line, with the word that is wrong and what was probably meant, and where help is.
[[nodiscard]] std::string usage_error(const CLI::App& app, const CLI::ParseError& error);

/// The arguments as the parser takes them, last one first; `help [COMMAND...]` becomes `[COMMAND...] --help`, and the
/// value of a short option may stand behind `=`.
[[nodiscard]] std::vector<std::string> parser_arguments(int argc, const char* const* argv);

}  // namespace manul::ctl
