#include "ctl/datastore/commands.hpp"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "ctl/datastore/backup.hpp"
#include "ctl/datastore/migrate.hpp"

namespace manul::ctl {

namespace {

using Choose = std::function<void(std::function<ExitCode(const Context&)>, bool)>;

void add_migrate(CLI::App& datastore, const Choose& choose) {
    CLI::App* migrate =
        datastore.add_subcommand("migrate", "Move everything into another datastore")->require_subcommand(1);
    migrate
        ->add_subcommand("lock",
                         "Lock the datastore: daemons keep what is in force and write nothing, new pods are refused")
        ->callback([choose] { choose(lock_datastore, true); });
    migrate->add_subcommand("unlock", "End a lock")->callback([choose] { choose(unlock_datastore, true); });

    CLI::App* out = migrate->add_subcommand(
        "export",
        "Write all objects and all address allocations of a locked datastore. Secrets have their real values in it.");
    const auto to = std::make_shared<ExportOptions>();
    out->add_option("-f,--filename", to->file, "write to this file, 0600 (default: standard output)")
        ->type_name("FILE");
    out->add_option("-o,--output", to->format, "yaml, or json, which is read faster")->capture_default_str();
    out->add_flag("--unlocked", to->unlocked,
                  "although the datastore is not locked: a look, not a picture of one moment");
    out->callback(
        [choose, to] { choose([to](const Context& context) { return export_datastore(context, *to); }, true); });

    CLI::App* in = migrate->add_subcommand(
        "import",
        "Fill an empty datastore. The file is what `export` wrote, here or with calicoctl; or Calico's etcd, as\n"
        "`etcdctl get --prefix /calico -w json` prints it; or Calico's custom resources, as `kubectl get -o yaml`\n"
        "prints them. All of it is checked before anything is written; the datastore is locked from the first write "
        "on,\n"
        "and stays so until `unlock`. What was interrupted is taken up by the same command.");
    const auto from = std::make_shared<ImportOptions>();
    in->add_option("-f,--filename", from->file, "the file, or - for standard input")->required()->type_name("FILE");
    in->add_option("--rename-node", from->nodes, "a node has another name now (repeatable)")->type_name("OLD=NEW");
    in->add_flag("--dry-run", from->dry_run, "check only");
    in->callback(
        [choose, from] { choose([from](const Context& context) { return import_datastore(context, *from); }, true); });
}

}  // namespace

void add_datastore_commands(CLI::App& app, const Choose& choose) {
    CLI::App* datastore = app.add_subcommand("datastore", "The datastore as a whole")->require_subcommand(1);
    add_migrate(*datastore, choose);

    CLI::App* backup = datastore->add_subcommand(
        "backup",
        "Copy the embedded store into a file (0600) while it is in use: one moment of it, whole or not at all");
    const auto to = std::make_shared<std::string>();
    backup->add_option("file", *to, "the new file")->required()->type_name("FILE");
    backup->callback([choose, to] { choose([to](const Context& context) { return back_up(context, *to); }, false); });

    CLI::App* take_back = datastore->add_subcommand(
        "restore",
        "Replace everything in the embedded store by a backup, in one transaction; daemons may run, and list again.\n"
        "Refused while endpoints exist that the backup does not have.");
    const auto from = std::make_shared<std::string>();
    const auto force = std::make_shared<bool>(false);
    take_back->add_option("file", *from, "the backup")->required()->type_name("FILE");
    take_back->add_flag("--force", *force, "although endpoints would be lost, and their addresses given out again");
    take_back->callback([choose, from, force] {
        choose([from, force](const Context& context) { return restore(context, *from, *force); }, false);
    });
}

}  // namespace manul::ctl
