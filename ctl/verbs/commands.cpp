#include "ctl/verbs/commands.hpp"

#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/verbs/convert.hpp"
#include "ctl/verbs/edit.hpp"
#include "ctl/verbs/input_options.hpp"

namespace manul::ctl {

namespace {

using Choose = std::function<void(std::function<ExitCode(const Context&)>, bool)>;

constexpr const char* kNamespaceHelp = "namespace of namespaced objects (default: 'default')";

void add_patch(CLI::App& app, const Choose& choose) {
    CLI::App* verb = app.add_subcommand("patch", "Change fields of one object");
    const auto options = std::make_shared<PatchOptions>();
    verb->add_option("kind", options->kind, "KIND")->required()->type_name("");
    verb->add_option("name", options->name, "NAME")->required()->type_name("");
    verb->add_option("-p,--patch", options->patch, "the patch, as JSON or YAML: '{\"spec\": {\"natOutgoing\": true}}'")
        ->required()
        ->type_name("PATCH");
    verb->add_option("-t,--type", options->type,
                     "strategic or merge (RFC 7396: null removes, lists are replaced), or json (RFC 6902)")
        ->capture_default_str();
    verb->add_option("-n,--namespace", options->ns, kNamespaceHelp);
    verb->callback(
        [choose, options] { choose([options](const Context& c) { return patch_object(c, *options); }, true); });
}

void add_label(CLI::App& app, const Choose& choose) {
    CLI::App* verb = app.add_subcommand("label", "Set or remove labels of one object");
    const auto options = std::make_shared<LabelOptions>();
    verb->add_option("kind", options->kind, "KIND")->required()->type_name("");
    verb->add_option("name", options->name, "NAME")->required()->type_name("");
    verb->add_option("labels", options->labels, "KEY=VALUE sets, KEY- removes a label")->required()->type_name("");
    CLI::Option* overwrite = verb->add_flag("--overwrite", options->overwrite, "also where the key has another value");
    verb->add_flag("--remove", options->remove, "the words are keys to remove")->excludes(overwrite);
    verb->add_option("-n,--namespace", options->ns, kNamespaceHelp);
    verb->callback(
        [choose, options] { choose([options](const Context& c) { return label_object(c, *options); }, true); });
}

void add_convert(CLI::App& app, const Choose& choose) {
    CLI::App* verb = app.add_subcommand(
        "convert",
        "Print older manifests in today's form: Calico's first API (apiVersion v1, kind policy ...), its custom\n"
        "resources (crd.projectcalico.org/v1), and Kubernetes' NetworkPolicies as policies of Calico");
    const auto options = std::make_shared<ConvertOptions>();
    add_input_options(*verb, options->input, true);
    verb->add_option("-o,--output", options->format, "yaml or json")->capture_default_str();
    verb->add_flag("--ignore-validation", options->ignore_validation, "print also what could not be stored");
    verb->add_flag("--strict", options->strict, "refuse fields that the first API did not have, not only name them");
    verb->callback(
        [choose, options] { choose([options](const Context& c) { return convert_files(c, *options); }, false); });
}

}  // namespace

void add_edit_verbs(CLI::App& app, const Choose& choose) {
    add_patch(app, choose);
    add_label(app, choose);
    add_convert(app, choose);
}

}  // namespace manul::ctl
