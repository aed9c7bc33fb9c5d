#include "ctl/verbs/input_options.hpp"

#include <string>

#include <CLI/CLI.hpp>

namespace manul::ctl {

void add_input_options(CLI::App& command, InputOptions& input, Files files) {
    auto* file =
        command.add_option("-f,--filename", input.paths, "file, directory or - for standard input (repeatable)");
    file->required(files == Files::required)->type_name("FILE");
    command.add_flag("-R,--recursive", input.recursive, "with a directory: include its subdirectories");
    command.add_option("-n,--namespace", input.ns,
                       "namespace of namespaced objects (default: the file's, else 'default')");
}

void add_selector_options(CLI::App& command, ObjectQuery& objects) {
    command.add_option("-l,--selector", objects.labels, "only objects with these labels: app=web,tier!=db,!old");
    command.add_option("--field-selector", objects.fields, "only objects with these fields: metadata.name!=a");
    command.add_flag("-A,--all-namespaces,-a", objects.all_namespaces, "objects of every namespace");
}

CLI::Option* add_dry_run(CLI::App& command, bool& dry_run) {
    return command.add_flag("--dry-run")
        ->description("check against the datastore and say what would happen; write nothing")
        ->check(CLI::IsMember({"true", "server", "client", "none"}))
        ->each([&dry_run](const std::string& value) { dry_run = value != "none"; });
}

}  // namespace manul::ctl
