#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class FormatterBase;
class ParseError;
}  // namespace CLI

namespace manul::ctl {

/// How `--help` looks. The first line of a command's description is its summary, which stands alone in the list of the
/// command above it. What a positional is called in a type name ("KIND NAME...") is how the usage shows it.
[[nodiscard]] std::shared_ptr<CLI::FormatterBase> help_formatter();

/// What is wrong with a command line, with the word that is wrong and what was probably meant, and where help is.
[[nodiscard]] std::string usage_error(const CLI::App& app, const CLI::ParseError& error);

/// The arguments in the order that the parser takes them, last one first; `help [COMMAND...]` becomes `[COMMAND...]
/// --help`, and the value of a short option may stand behind `=`.
[[nodiscard]] std::vector<std::string> parser_arguments(int argc, const char* const* argv);

}  // namespace manul::ctl
