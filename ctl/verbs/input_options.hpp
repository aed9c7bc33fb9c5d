#pragma once

#include <cstdint>

#include "ctl/verbs/fetch.hpp"
#include "ctl/verbs/input.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace manul::ctl {

/// Whether a command can do without -f.
enum class Files : std::uint8_t { optional, required };
/// The options of every command that reads files.
void add_input_options(CLI::App& command, InputOptions& input, Files files);
/// `-l`, `--field-selector` and `-A` of those that take several objects.
void add_selector_options(CLI::App& command, ObjectQuery& objects);

/// `--dry-run`; kubectl's values are taken too, and both mean the same: the datastore checks, nothing is written.
CLI::Option* add_dry_run(CLI::App& command, bool& dry_run);

}  // namespace manul::ctl
