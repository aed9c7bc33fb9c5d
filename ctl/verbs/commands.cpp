#include "ctl/verbs/commands.hpp"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "ctl/verbs/convert.hpp"
#include "ctl/verbs/edit.hpp"
#include "ctl/verbs/input_options.hpp"
#include "ctl/verbs/rehearse.hpp"
#include "ctl/verbs/verbs.hpp"

namespace manul::ctl {

namespace {

void add_write_verbs(CLI::App& app, Command& chosen) {
    struct Row {
        const char* name;
        const char* help;
        WriteVerb verb;
    };
    for (const Row& row : {Row{"create", "Create objects; refuse those that exist", WriteVerb::create},
                           Row{"apply", "Create objects, or update those that exist", WriteVerb::apply},
                           Row{"replace", "Replace objects that exist", WriteVerb::replace}}) {
        CLI::App* verb = app.add_subcommand(row.name, row.help);
        const auto options = std::make_shared<WriteOptions>();
        add_input_options(*verb, options->input, Files::required);
        verb->add_flag("--skip-empty", options->skip_empty, "an empty input is not an error");
        CLI::Option* dry_run = add_dry_run(*verb, options->dry_run);
        if (row.verb == WriteVerb::create) {
            verb->add_flag("--skip-exists", options->skip_exists, "leave objects that exist alone");
        }
        if (row.verb == WriteVerb::apply) {
            verb->add_option(
                    "--confirm-within", options->confirm_within,
                    "roll everything back after this time (such as 2m) unless `manulctl confirm` is run first;\n"
                    "all objects are written at once. The daemons keep the time, not this program")
                ->type_name("TIME")
                ->excludes(dry_run);
        }
        verb->callback([&chosen, options, which = row.verb] {
            chosen.run = [options, which](const Context& context) { return write_objects(context, which, *options); };
        });
    }
}

void add_diff(CLI::App& app, Command& chosen) {
    CLI::App* verb =
        app.add_subcommand("diff",
                           "Show what `apply` would change, and change nothing.\n"
                           "Exit code 0: nothing would change, 1: something would, 2: the comparison failed.");
    const auto options = std::make_shared<DiffOptions>();
    add_input_options(*verb, options->input, Files::required);
    verb->callback([&chosen, options] {
        chosen = {.run = [options](const Context& context) { return diff_objects(context, *options); },
                  .trouble = ExitCode::trouble};
    });
}

void add_confirm(CLI::App& app, Command& chosen) {
    app.add_subcommand("confirm", "Keep the change made by `apply --confirm-within`")->callback([&chosen] {
        chosen.run = confirm_change;
    });
    app.add_subcommand("rollback", "Undo the change made by `apply --confirm-within` now")->callback([&chosen] {
        chosen.run = roll_back_change;
    });
}

void add_delete(CLI::App& app, Command& chosen) {
    CLI::App* verb = app.add_subcommand("delete", "Delete objects by file, or by kind and name");
    const auto options = std::make_shared<DeleteOptions>();
    add_input_options(*verb, options->objects.input, Files::optional);
    verb->add_option("objects", options->objects.words, "by kind and name")->type_name("KIND NAME...");
    add_selector_options(*verb, options->objects);
    verb->add_flag("--all", options->all, "all objects of the kind");
    verb->add_flag("-s,--skip-not-exists,--ignore-not-found", options->skip_not_exists,
                   "an object that does not exist is not an error");
    CLI::Option* dry_run = add_dry_run(*verb, options->dry_run);
    verb->add_flag("--release-addresses", options->release_addresses,
                   "for nodes: free what the node held immediately (default: after 15 minutes)")
        ->excludes(dry_run);
    verb->add_flag("--skip-empty", options->skip_empty, "an empty input is not an error");
    verb->callback([&chosen, options] {
        if (options->objects.words.empty() == options->objects.input.paths.empty()) {
            throw CLI::ValidationError("delete", "give either -f FILE or KIND NAME...");
        }
        chosen.run = [options](const Context& context) { return delete_objects(context, *options); };
    });
}

void add_get(CLI::App& app, Command& chosen) {
    CLI::App* verb = app.add_subcommand("get", "Show objects");
    const auto options = std::make_shared<GetOptions>();
    ObjectQuery& objects = options->objects;
    add_input_options(*verb, objects.input, Files::optional);
    verb->add_option("objects", objects.words, "by kind and name; several kinds as ippools,nodes")
        ->type_name("KIND [NAME...]");
    add_selector_options(*verb, objects);
    verb->add_option(
        "-o,--output", options->format,
        "ps, wide, yaml, json, name, jsonpath=TEMPLATE, go-template=TEMPLATE, custom-columns=A,B or\n"
        "custom-columns=HEADING:PATH,...; jsonpath-file=, go-template-file= and custom-columns-file= read\n"
        "the same from a file");
    verb->add_option("--sort-by", options->sort_by, "path of the field to sort by (.spec.order)")->type_name("PATH");
    verb->add_flag("--show-labels", options->show_labels, "labels as the last column");
    verb->add_flag("--no-headers", options->no_headers, "tables without their heading");
    verb->add_flag("--export", options->export_,
                   "print named objects without what only this store knows (uid, resourceVersion ...)");
    verb->add_flag("-w,--watch", options->watch, "then print every change until interrupted");
    verb->add_flag("--watch-only", options->watch_only, "print every change from now on, but not what exists already");
    verb->add_flag("--output-watch-events", options->output_watch_events,
                   "with a watch: also print whether the object was ADDED, MODIFIED or DELETED");
    verb->callback([&chosen, options] {
        const ObjectQuery& asked = options->objects;
        if (asked.words.empty() == asked.input.paths.empty()) {
            throw CLI::ValidationError("get", "give either KIND [NAME...] or -f FILE");
        }
        if (options->output_watch_events && !options->watch && !options->watch_only) {
            throw CLI::ValidationError("get", "--output-watch-events needs --watch or --watch-only");
        }
        if (!options->sort_by.empty() && (options->watch || options->watch_only)) {
            throw CLI::ValidationError("get", "--sort-by is not for watches");
        }
        chosen.run = [options](const Context& context) { return get_objects(context, *options); };
    });
}

void add_offline_verbs(CLI::App& app, Command& chosen) {
    CLI::App* validate = app.add_subcommand("validate", "Check files without a datastore: syntax, fields, rules");
    const auto input = std::make_shared<InputOptions>();
    const auto skip_empty = std::make_shared<bool>(false);
    add_input_options(*validate, *input, Files::required);
    validate->add_flag("--skip-empty", *skip_empty, "an empty input is not an error");
    validate->callback([&chosen, input, skip_empty] {
        chosen = {
            .run = [input, skip_empty](const Context& context) { return validate_files(context, *input, *skip_empty); },
            .needs = Needs::nothing};
    });

    CLI::App* explain = app.add_subcommand("explain", "Describe a kind or one of its fields; list all kinds");
    const auto path = std::make_shared<std::string>();
    explain->add_option("path", *path, "for example networkpolicy.spec.ingress; none: all kinds")
        ->type_name("KIND[.FIELD...]");
    explain->callback([&chosen, path] {
        chosen = {[path](const Context& context) { return explain_kind(context, *path); }, Needs::settings};
    });

    CLI::App* version = app.add_subcommand("version", "Show the versions of this program and of the cluster");
    const auto shown = std::make_shared<VersionOptions>();
    version->add_flag("--client", shown->client_only, "only this program's");
    version
        ->add_option("--poll", shown->poll,
                     "check again at this interval (such as 10s) and print changes until interrupted")
        ->type_name("TIME");
    version->callback([&chosen, shown] {
        chosen = {[shown](const Context& context) { return print_version(context, *shown); },
                  shown->client_only ? Needs::settings : Needs::datastore};
    });
}

void add_targets(CLI::App& verb, EditTargets& targets) {
    add_input_options(verb, targets.objects.input, Files::optional);
    add_selector_options(verb, targets.objects);
    verb.add_flag("--all", targets.all, "all objects of the kind");
    add_dry_run(verb, targets.dry_run);
}

void add_patch(CLI::App& app, Command& chosen) {
    CLI::App* verb = app.add_subcommand("patch", "Change fields of objects");
    const auto options = std::make_shared<PatchOptions>();
    verb->add_option("objects", options->targets.objects.words, "by kind and name")->type_name("KIND NAME...");
    add_targets(*verb, options->targets);
    CLI::Option* text = verb->add_option("-p,--patch", options->patch,
                                         "the patch, as JSON or YAML: '{\"spec\": {\"natOutgoing\": true}}'");
    text->type_name("PATCH");
    CLI::Option* file = verb->add_option("--patch-file", options->patch_file, "file with the patch");
    file->type_name("FILE")->excludes(text);
    verb->add_option("-t,--type", options->type,
                     "strategic or merge (RFC 7396: null removes, lists are replaced), or json (RFC 6902)")
        ->capture_default_str();
    verb->callback([&chosen, options, text, file] {
        if (text->count() + file->count() == 0) {
            throw CLI::ValidationError("patch", "give --patch or --patch-file");
        }
        chosen = {[options](const Context& c) { return patch_objects(c, *options); }, Needs::datastore};
    });
}

void add_label(CLI::App& app, Command& chosen, bool annotations) {
    CLI::App* verb =
        app.add_subcommand(annotations ? "annotate" : "label",
                           annotations ? "Set or remove annotations of objects" : "Set or remove labels of objects");
    const auto options = std::make_shared<LabelOptions>();
    options->annotations = annotations;
    verb->add_option("words", options->words, "KEY=VALUE sets, KEY- removes")
        ->required()
        ->type_name("KIND NAME... KEY=VALUE... KEY-...");
    add_targets(*verb, options->targets);
    CLI::Option* overwrite =
        verb->add_flag("--overwrite", options->overwrite, "also change keys that have another value");
    verb->add_flag("--remove", options->remove, "the words after KIND NAME... are keys to remove")->excludes(overwrite);
    verb->callback([&chosen, options] {
        chosen = {[options](const Context& c) { return label_objects(c, *options); }, Needs::datastore};
    });
}

void add_convert(CLI::App& app, Command& chosen) {
    CLI::App* verb = app.add_subcommand(
        "convert",
        "Print older manifests in today's form.\n"
        "Reads Calico's first API (apiVersion v1, kind policy ...), its custom resources (crd.projectcalico.org/v1),\n"
        "and Kubernetes' NetworkPolicies, which become policies of Calico.");
    const auto options = std::make_shared<ConvertOptions>();
    add_input_options(*verb, options->input, Files::required);
    verb->add_option("-o,--output", options->format, "yaml or json")->capture_default_str();
    verb->add_flag("--ignore-validation", options->ignore_validation, "also print objects that could not be stored");
    verb->add_flag("--strict", options->strict,
                   "refuse fields that the first API did not have instead of only naming them");
    verb->callback([&chosen, options] {
        chosen = {[options](const Context& c) { return convert_files(c, *options); }, Needs::settings};
    });
}

}  // namespace

void add_object_commands(CLI::App& app, Command& chosen) {
    add_write_verbs(app, chosen);
    add_diff(app, chosen);
    add_confirm(app, chosen);
    add_delete(app, chosen);
    add_get(app, chosen);
    add_patch(app, chosen);
    add_label(app, chosen, false);
    add_label(app, chosen, true);
    add_convert(app, chosen);
    add_offline_verbs(app, chosen);
}

}  // namespace manul::ctl
