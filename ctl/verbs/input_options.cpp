#include "ctl/verbs/input_options.hpp"

#include <CLI/CLI.hpp>

namespace manul::ctl {

void add_input_options(CLI::App& command, InputOptions& input, bool required) {
    auto* file =
        command.add_option("-f,--filename", input.paths, "file, directory or - for standard input (repeatable)");
    file->required(required)->type_name("FILE");
    command.add_flag("-R,--recursive", input.recursive, "with a directory: also those below it");
    command.add_option("-n,--namespace", input.ns,
                       "namespace of namespaced objects (default: the file's, else 'default')");
}

}  // namespace manul::ctl
