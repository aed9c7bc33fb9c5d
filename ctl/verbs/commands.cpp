#include "ctl/verbs/commands.hpp"

#include <memory>

#include <CLI/CLI.hpp>

#include "ctl/verbs/convert.hpp"
#include "ctl/verbs/edit.hpp"
#include "ctl/verbs/input_options.hpp"

namespace manul::ctl {

namespace {

using Choose = std::function<void(std::function<ExitCode(const Context&)>, bool)>;

void add_targets(CLI::App& verb, EditTargets& targets) {
    add_input_options(verb, targets.objects.input, false);
    add_selector_options(verb, targets.objects);
    verb.add_flag("--all", targets.all, "all objects of the kind");
    add_dry_run(verb, targets.dry_run);
}

void add_patch(CLI::App& app, const Choose& choose) {
    CLI::App* verb = app.add_subcommand("patch", "Change fields of objects");
    const auto options = std::make_shared<PatchOptions>();
    verb->add_option("words", options->targets.objects.words, "KIND NAME...")->type_name("");
    add_targets(*verb, options->targets);
    CLI::Option* text = verb->add_option("-p,--patch", options->patch,
                                         "the patch, as JSON or YAML: '{\"spec\": {\"natOutgoing\": true}}'");
    text->type_name("PATCH");
    CLI::Option* file = verb->add_option("--patch-file", options->patch_file, "file with the patch");
    file->type_name("FILE")->excludes(text);
    verb->add_option("-t,--type", options->type,
                     "strategic or merge (RFC 7396: null removes, lists are replaced), or json (RFC 6902)")
        ->capture_default_str();
    verb->callback([choose, options, text, file] {
        if (text->count() + file->count() == 0) {
            throw CLI::ValidationError("patch", "give --patch or --patch-file");
        }
        choose([options](const Context& c) { return patch_objects(c, *options); }, true);
    });
}

void add_label(CLI::App& app, const Choose& choose, bool annotations) {
    CLI::App* verb =
        app.add_subcommand(annotations ? "annotate" : "label",
                           annotations ? "Set or remove annotations of objects" : "Set or remove labels of objects");
    const auto options = std::make_shared<LabelOptions>();
    options->annotations = annotations;
    verb->add_option("words", options->words, "KIND NAME..., then KEY=VALUE, which sets, and KEY-, which removes")
        ->required()
        ->type_name("");
    add_targets(*verb, options->targets);
    CLI::Option* overwrite = verb->add_flag("--overwrite", options->overwrite, "also where the key has another value");
    verb->add_flag("--remove", options->remove, "the words behind KIND NAME are keys to remove")->excludes(overwrite);
    verb->callback(
        [choose, options] { choose([options](const Context& c) { return label_objects(c, *options); }, true); });
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
    add_label(app, choose, false);
    add_label(app, choose, true);
    add_convert(app, choose);
}

}  // namespace manul::ctl
